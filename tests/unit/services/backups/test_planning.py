"""Judgements: made once, and never used where they would not be made again."""

from dataclasses import replace
from datetime import timedelta

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.retention import RetentionPolicy
from app.domain.backups.rules import RetentionRules
from app.services.backups.planning import Judgements
from tests.fixtures.archives import NOON
from tests.fixtures.many_backups import make_many


RULES = RetentionRules({"": RetentionPolicy(count=2, days=1)})
NOW = NOON + timedelta(hours=1)


@pytest.fixture
def reading(tmp_path):
    """Of six backups of the last hour."""
    make_many(tmp_path, 6, until=NOON - timedelta(minutes=1))
    return Catalogue(tmp_path).read()


def test_what_was_judged_serves_while_nothing_it_asks_for_has_changed(reading):
    """Also for rules that are equal, or about schedules that have no backups."""
    judgements = Judgements()
    judged = judgements.judge(reading, RULES, NOW)
    assert judged.until is not None
    alike = RetentionRules({**RULES.policies, "new": RetentionPolicy(count=9)})

    assert judgements.judge(reading, alike, NOW + timedelta(hours=20)) is judged
    assert judgements.judge(reading, RULES, judged.until) is not judged
    assert judgements.judge(reading, RULES, NOW - timedelta(seconds=1)) is not judged
    assert judgements.judge(replace(reading), RULES, NOW) is not judged
    assert judgements.judge(reading, RetentionRules({"": RetentionPolicy()}), NOW) is not judged


def test_what_is_held_is_judged_for_itself(reading):
    """And what is not held any more as before."""
    judgements = Judgements()
    later = NOW + timedelta(days=2)
    judged = judgements.judge(reading, RULES, later)
    going = [decision.item for decision in judged.decisions if not decision.is_kept]
    held = {going[0].backup_id: replace(going[0], is_in_use=True)}
    other = judgements.judge(reading, RULES, later, held)

    assert len(going) == 4
    assert [decision.item for decision in other.decisions if not decision.is_kept] == going[1:]
    assert judgements.judge(reading, RULES, later, dict(held)) is other
    assert judgements.judge(reading, RULES, later) is judged


def test_what_was_judged_before_is_what_would_be_judged_now(reading):
    """Every minute of three days."""
    judgements = Judgements()
    made = set()
    for minutes in range(3 * 24 * 60):
        now = NOW + timedelta(minutes=minutes)
        judged = judgements.judge(reading, RULES, now)
        made.add(id(judged))
        assert judged.decisions == RULES.judge(judged.items, now)
    assert len(made) <= 2 * len(reading.survey.entries) + 1  # at each age, and after it
