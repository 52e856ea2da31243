"""What must hold before a restore is begun from a page."""

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from starlette.datastructures import FormData

from app.api.bodies import RestoreBody
from app.domain.backups.manifest import Manifest
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.run import RunKind, RunState
from app.services.jobs import requested
from app.web.forms.restore import (
    body_of,
    choices_of,
    dry_run_problem,
    fields_of,
    form_errors,
    request_again,
    request_of,
)
from tests.fixtures.records import NOON, run


BACKUP = "backup_65ba1f2f3d4e5"
WANTED = RestoreRequest(
    BACKUP, tables=("shop.orders", "log_*"), skip_binlog=True, create_backup=False
)
DONE = run(
    kind=RunKind.DRY_RUN,
    state=RunState.SUCCEEDED,
    backup_id=BACKUP,
    request=requested(WANTED),
    result={"success": True},
    finished_at=NOON,
)


def test_a_dry_run_of_the_same_a_moment_ago_allows_it():
    """Also when the history has made lists of what were tuples."""
    assert dry_run_problem(DONE, WANTED, NOON + timedelta(minutes=15)) == ""
    listed = replace(DONE, request={**DONE.request, "tables": ["shop.orders", "log_*"]})
    assert dry_run_problem(listed, WANTED, NOON) == ""


@pytest.mark.parametrize(
    ("changes", "wanted", "later"),
    [
        ({"kind": RunKind.DRILL}, WANTED, 0),
        ({"state": RunState.FAILED, "result": None}, WANTED, 0),
        ({"state": RunState.RUNNING, "result": None}, WANTED, 0),
        ({"result": {"success": False}}, WANTED, 0),
        ({"backup_id": "backup_65ba1f2f3d4e6"}, WANTED, 0),
        ({}, replace(WANTED, tables=("shop.orders",)), 0),
        ({}, replace(WANTED, into="other"), 0),
        ({}, replace(WANTED, skip_binlog=False), 0),
        ({}, WANTED, 16),
        ({"finished_at": None}, WANTED, 0),
    ],
)
def test_any_other_does_not(changes, wanted, later):
    """Each has its own sentence."""
    assert dry_run_problem(replace(DONE, **changes), wanted, NOON + timedelta(minutes=later))
    assert dry_run_problem(None, wanted, NOON)


@pytest.mark.parametrize(
    "wanted",
    [
        WANTED,
        RestoreRequest(BACKUP),
        RestoreRequest(BACKUP, into="other name"),
        RestoreRequest(BACKUP, databases=("a b", "c'd")),
        RestoreRequest(BACKUP, tables=("a b.c d", "[*]x")),
        RestoreRequest(BACKUP, schema_only=True, verify_after=False, accounts=True),
        RestoreRequest(BACKUP, data_only=True, verify_before=False),
    ],
)
def test_a_form_asks_for_the_same_once_more(wanted):
    """From a request to fields and back nothing is lost: what was tried is what is done."""
    form = FormData(list(fields_of(wanted)))

    assert request_of(form, BACKUP, wanted.threads) == wanted
    again = request_again(replace(DONE, request=requested(wanted)))
    assert replace(again, threads=wanted.threads) == wanted


def test_the_api_is_asked_for_the_same():
    """A body holds what is not as usual, by the names of the API."""
    body = json.loads(body_of(WANTED))

    assert body == {"tables": ["shop.orders", "log_*"], "skip_binlog": True, "create_backup": False}
    assert body_of(RestoreRequest(BACKUP)) == "{}"
    assert RestoreBody.model_validate(body).tables == WANTED.tables


def test_ticked_tables_are_exact_and_patterns_are_not():
    """A table that is called `a*` means itself."""
    form = FormData([("scope", "tables"), ("table", "shop.a*"), ("patterns", "log_*  x")])

    assert request_of(form, BACKUP, 2).tables == ("shop.a[*]", "log_*", "x")


@pytest.mark.parametrize("pattern", ["sales 2024*", " a*", "a\u3000b", "[ x]*"])
def test_a_pattern_with_a_space_is_chosen_again_as_one(pattern):
    """In a field whose words are patterns it would be two, of other tables."""
    wanted = RestoreRequest(BACKUP, tables=(pattern, "log_*"))
    manifest = SimpleNamespace(databases=())
    again = choices_of(wanted, cast("Manifest", manifest), is_drill=False)

    assert set(request_of(again, BACKUP, wanted.threads).tables) == {pattern, "log_*"}
    assert form_errors(again) == {}


def test_what_a_link_has_ticked_is_in_nobodys_way():
    """Who comes from one database and ticks a table of it means the table; who ticks more is asked."""
    came = [("scope", "tables"), ("where", "place"), ("database", "shop"), ("preset", "shop")]
    with_table = [*came, ("table", "shop.t")]

    assert form_errors(FormData([*with_table])) == {}
    assert "chosen too" in form_errors(FormData([*with_table, ("database", "wiki")]))["scope"]
    assert "at least one" in form_errors(FormData([*came]))["scope"]
    assert form_errors(FormData([("scope", "databases"), *came[1:]])) == {}


def test_what_is_ticked_in_another_scope_does_not_count():
    """Whoever goes back to `everything` means everything."""
    form = FormData([("scope", "all"), ("table", "shop.t"), ("database", "shop"), ("into", "x")])

    assert request_of(form, BACKUP, 2) == RestoreRequest(BACKUP)
