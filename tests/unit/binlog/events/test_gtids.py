"""States of GTIDs."""

import pytest
from hypothesis import given, strategies as st

from app.binlog.events.gtids import MariaGtids, MysqlGtids, parsed_state
from app.binlog.events.headers import Malformed


UUIDS = [f"{number:08x}-0000-0000-0000-000000000000" for number in range(3)]


def test_mariadb_keeps_the_newest_of_each_server():
    """And tells its position by the newest of each domain."""
    state = MariaGtids.parsed("0-1-5,0-2-9,7-1-1")
    state.add("0-1-10")

    assert state.text == "0-2-9,0-1-10,7-1-1"
    assert state.position == "0-1-10,7-1-1"
    assert state.has("0-1-10")
    assert not state.has("0-2-10")


@given(st.lists(st.tuples(st.sampled_from(UUIDS), st.integers(1, 40)), max_size=60))
def test_mysql_keeps_a_set(added):
    """In whatever order transactions come, the text is that of the same set."""
    state = MysqlGtids()
    for source, number in added:
        state.add(f"{source}:{number}")
    again = parsed_state(state.text, is_mariadb=False)

    assert again.text == state.text
    for source in UUIDS:
        for number in range(1, 42):
            assert state.has(f"{source}:{number}") == ((source, number) in set(added))


def test_mysql_writes_it_as_the_server_does():
    """Intervals of what follows each other, sources in order; what has no GTID changes nothing."""
    state = MysqlGtids.parsed(f"{UUIDS[1]}:1-3:7,\n{UUIDS[0]}:2")
    state.add(f"{UUIDS[1]}:4")
    state.add("")

    assert state.text == f"{UUIDS[0]}:2,{UUIDS[1]}:1-4:7"


@pytest.mark.parametrize(("text", "is_mariadb"), [("0-1", True), ("x-y-z", True), ("abc:1", False)])
def test_what_is_no_state_is_refused(text, is_mariadb):
    """Rather than guessed."""
    with pytest.raises(Malformed):
        parsed_state(text, is_mariadb=is_mariadb)
