"""What is told of points in time: rates, and the way from a DROP TABLE to the table."""

import json
import sqlite3

import pytest

from benchmarks import options, recovery
from benchmarks.recovery import Rates, Way


COUNTS = {"products": 5000, "orders": 150_000, "order_items": 600_000, "users": 27_500}


def rates() -> Rates:
    """Make what two rounds gave."""
    ways = [
        Way(find=1.0, recover=30.0, base=10.0, replay=10.0, backup=8.0, restore=9.0),
        Way(find=3.0, recover=40.0, base=12.0, replay=20.0, backup=6.0, restore=7.0),
    ]
    archived = [(1_000_000_000, 20.0, 5.0), (1_000_000_000, 10.0, 4.0)]
    return Rates(1_000_000_000, 230_000, 4_800_000, archived, ways)


def test_rates_are_of_what_was_read_and_replayed():
    """Medians of the rounds, each of its own bytes and seconds."""
    medians = recovery.as_json(rates())["medians"]

    assert medians == pytest.approx({
        "archive reader, MB/s": 75.0,
        "archive reader, CPU ms a MB": 4.5,
        "replay, MB/s": 75.0,
        "DROP TABLE to the table in its place, s": 45.0,
        "of it: find, s": 2.0,
        "of it: recover, s": 35.0,
        "of recover: base, s": 11.0,
        "of recover: replay, s": 15.0,
        "of recover: backup, s": 7.0,
        "of it: restore, s": 8.0,
    })


def test_the_table_has_a_line_for_each_figure():
    """With what was replayed above it."""
    head, *lines = recovery.table(rates()).splitlines()

    assert head == "log: 1,000 MB, 230,000 transactions; table: 4,800,000 rows"
    assert "| replay, MB/s | 75.0 | 50.0 | 100.0 |" in lines
    assert "| DROP TABLE to the table in its place, s | 45.0 | 40.0 | 50.0 |" in lines


def test_phases_are_those_of_the_newest_recovery(tmp_path):
    """From the history: base, replay and backup, whatever phases a restore has between."""
    phases = [("inspect", 0.0), ("scratch server", 1.0), ("load", 2.0), ("replay", 6.0), ("snapshot", 9.0),
              ("publish", 11.0)]  # fmt: skip
    journal = [{"elapsed": elapsed, "text": text} for text, elapsed in phases]
    with sqlite3.connect(tmp_path / "control.db") as history:
        history.execute("CREATE TABLE runs (kind TEXT, created_at INTEGER, progress TEXT)")
        rows = [
            ("recovery", 1, "{}"),
            ("recovery", 2, json.dumps({"elapsed": 12.5, "journal": journal})),
            ("restore", 3, "{}"),
        ]
        history.executemany("INSERT INTO runs VALUES (?, ?, ?)", rows)
    history.close()

    assert recovery._phases(tmp_path / "control.db") == (5.0, 3.0, 3.5)


@pytest.mark.parametrize("cycle", [0, 249, 2999, 10_500])
def test_what_is_sold_is_there(cycle):
    """Rows are found at any length of the log."""
    statements = list(recovery._changes(cycle, COUNTS))

    assert len(statements) == 22
    first = int(statements[0].partition("BETWEEN ")[2].partition(" ")[0])
    assert 1 <= first <= COUNTS["products"] - 20


def test_a_gigabyte_is_logged_unless_told_otherwise():
    """What the published figures are of."""
    assert options.parse(["--only", "recovery"]).log_megabytes == 1000
