"""What the proof of a restored table need not ask."""

from typing import Any

import pytest

from app.domain.backups.manifest import MemberEntry, MemberKind, StatementEntry, StatementKind
from app.engine.rows.proof import reads_all


def member(**insert: Any) -> MemberEntry:
    """Make a data member with one INSERT."""
    text = StatementEntry(StatementKind.TEXT, 1, "")
    rows = StatementEntry(StatementKind.INSERT, 1, "", rows=1, **insert)
    return MemberEntry(MemberKind.DATA, 0, 1, 2, "", statements=(text, rows))


def test_one_range_without_bounds_is_the_whole_table():
    """A proof that reads whatever rows there are leaves none to be counted."""
    assert reads_all([member()])


@pytest.mark.parametrize(
    "members",
    [
        [],
        [member(), member()],
        [member(lower=("1",))],
        [member(upper=("1",))],
        [member(sliced=True)],
    ],
    ids=["empty", "two", "lower", "upper", "sliced"],
)
def test_a_table_whose_rows_may_hide_outside_of_bounds_is_not_all_read(members):
    """An empty table, several ranges, bounds and sliced rows still need the count."""
    assert not reads_all(members)
