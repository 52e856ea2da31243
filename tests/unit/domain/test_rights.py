"""The table of rights: every effect has its least role, and no request has a larger effect than its right."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.access.user import Role
from app.domain.backups.retention import RetentionPolicy
from app.domain.rights import (
    OPERATIONS,
    RIGHTS,
    Effect,
    least_role,
    require,
    require_run,
    require_schedule,
)
from app.domain.runs.run import RunKind
from app.domain.schedule import Frequency, Schedule, ScheduleOptions
from app.errors import NotAuthorizedError


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
KNOWN = Schedule(
    "shop",
    Frequency.DAILY,
    NOON,
    options=ScheduleOptions(
        databases=("shop", "crm"), tables=("a*", "b*"), exclude_tables=("tmp_*", "log_*")
    ),
    retention=RetentionPolicy(count=6),
)


def test_every_effect_has_a_right_and_every_right_is_used():
    """No effect without a role, and none that nobody can ask for."""
    assert set(RIGHTS) == set(Effect) == set(OPERATIONS.values())


def test_an_operation_without_a_row_is_refused():
    """Whoever adds a route and forgets its right finds out at once."""
    with pytest.raises(KeyError):
        least_role("a_new_operation")


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize("role", Role)
def test_a_role_has_the_effects_of_those_before_it(role, effect):
    """Whatever the least role may do, those above it may do as well."""
    least = RIGHTS[effect].least
    if least is None or list(Role).index(role) >= list(Role).index(least):
        require(role, effect, "to do it")
    else:
        with pytest.raises(NotAuthorizedError, match=f"the role {least} is needed to do it"):
            require(role, effect, "to do it")


@pytest.mark.parametrize("kind", RunKind)
def test_a_run_is_stopped_by_whoever_may_begin_it(kind):
    """Viewers stop none; operators none that restores or deletes."""
    for role in Role:
        admins = kind in {RunKind.RESTORE, RunKind.UNDO, RunKind.DELETION, RunKind.PRUNE}
        if role is Role.ADMIN or (role is Role.OPERATOR and not admins):
            require_run(role, kind)
        else:
            with pytest.raises(NotAuthorizedError, match=f"to stop a {kind}"):
                require_run(role, kind)


WHEN = {
    "frequency": Frequency.HOURLY,
    "cron": "30 2 * * *",
    "timezone": "Europe/Berlin",
    "enabled": False,
    "external": True,
    "updated_at": datetime(2026, 2, 1, tzinfo=UTC),
}


@pytest.mark.parametrize("field", WHEN)
def test_an_operator_says_when_backups_are_made(field):
    """Times, zone, on or off, and who begins them."""
    changes: dict[str, Any] = {field: WHEN[field]}
    require_schedule(Role.OPERATOR, KNOWN, replace(KNOWN, **changes))


@pytest.mark.parametrize(
    "wanted",
    [None, RetentionPolicy(), RetentionPolicy(count=1), RetentionPolicy(count=7)],
    ids=["as the settings say", "everything", "fewer", "more"],
)
def test_only_an_admin_changes_what_is_kept(wanted):
    """Whichever way: what is kept longer costs what the admin has decided about."""
    changed = replace(KNOWN, retention=wanted)

    with pytest.raises(NotAuthorizedError, match="to change what a schedule keeps"):
        require_schedule(Role.OPERATOR, KNOWN, changed)
    require_schedule(Role.ADMIN, KNOWN, changed)


def test_a_new_schedule_of_an_operator_is_kept_as_the_settings_say():
    """One with rules of its own would count what a deleted one of that name has left."""
    require_schedule(Role.OPERATOR, None, replace(KNOWN, retention=None))
    with pytest.raises(NotAuthorizedError):
        require_schedule(Role.OPERATOR, None, KNOWN)
    require_schedule(Role.ADMIN, None, KNOWN)


LESS = [
    ("databases", ("shop",)),
    ("databases", ()),
    ("databases", ("shop", "erp")),
    ("tables", ("a*",)),
    ("exclude_tables", ("tmp_*", "log_*", "orders")),
    ("include_data", False),
    ("verify", False),
]
MORE = [
    ("databases", ("shop", "crm", "erp")),
    ("tables", ()),
    ("tables", ("a*", "b*", "c*")),
    ("exclude_tables", ()),
    ("exclude_tables", ("tmp_*",)),
    ("verify", True),
    ("description", "by night"),
    ("compress", False),
]


def _with(field, value):
    return replace(KNOWN, options=replace(KNOWN.options, **{field: value}))


@pytest.mark.parametrize(("field", "value"), LESS)
def test_only_an_admin_lets_a_schedule_back_up_less(field, value):
    """Fewer databases or tables, no rows, no proof: what is lost is named."""
    with pytest.raises(NotAuthorizedError, match=f"backs up less: {field}"):
        require_schedule(Role.OPERATOR, KNOWN, _with(field, value))
    require_schedule(Role.ADMIN, KNOWN, _with(field, value))


@pytest.mark.parametrize(("field", "value"), MORE)
def test_an_operator_lets_a_schedule_back_up_more(field, value):
    """And says how."""
    require_schedule(Role.OPERATOR, KNOWN, _with(field, value))


@pytest.mark.parametrize("field", ["databases", "tables"])
def test_everything_is_more_than_any_list(field):
    """A list in the place of `all there are` is less."""
    known = replace(KNOWN, options=ScheduleOptions())
    changes: dict[str, Any] = {field: ("shop",)}
    wanted = replace(known, options=replace(known.options, **changes))
    with pytest.raises(NotAuthorizedError):
        require_schedule(Role.OPERATOR, known, wanted)
