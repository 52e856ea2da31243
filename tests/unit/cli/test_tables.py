"""Tables on a terminal: names and numbers stay whole at any width, and nothing is wider than it."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest
from rich.cells import cell_len


HEADINGS = ("Backup", "Created (UTC)", "Holds", "Proven", "Size")
ROWS = [
    ("backup_6b0aac188c376", "2026-11-28 10:25", "shop", "2026-11-27", "5.9 kB"),
    (
        "backup_6b0aac179cc08",
        "2026-11-28 10:24",
        "shop, 注文, blog\npinned: before x",
        "-",
        "53.9 kB",
    ),
    ("backup_6b0aac16efb7c", "2026-11-28 10:23", "a_database_with_a_name\x1b[31m", "-", "31.2 GB"),
]
# A column between the others that is as wide as the names when it gives way.
PLAN_HEADINGS = ("Backup", "Created (UTC)", "Schedule", "Plan", "Why", "Size")
PLAN_ROWS = [
    (
        f"backup_6b0afab44301{number}",
        "2026-11-28 16:00:52",
        "-",
        "stays",
        "recovery point, kept until 2026-12-05 16:00 UTC",
        "836.0 kB",
    )
    for number in range(3)
]
# Most of what it says is in columns that would be folded to a word or two.
ALERT_HEADINGS = ("Since (UTC)", "Until (UTC)", "Alert", "Message", "Deliveries", "Seen")
ALERT_ROWS = [
    (
        "2026-11-30 00:43",
        "-",
        "failure: store offsite",
        "store offsite cannot be looked at: the store did not answer in time",
        "json://alerts.example.com: waiting",
        "1",
    )
]
ROOT = Path(__file__).parents[3]
PROGRAM = (
    "from app.cli.tables import print_table;"
    "from tests.unit.cli.test_tables import {0}HEADINGS, {0}ROWS;"
    "print_table({0}HEADINGS, {0}ROWS, right=1)"
)


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    """A terminal that tells its own width, and no wish about colours."""
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def printed(width: int, table: str = "") -> str:
    """Return what a program prints on a terminal so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    command = [sys.executable, "-c", PROGRAM.format(table)]
    # pytest's readline tells all children a width behind Python's back; what is passed is what Python knows.
    known = dict(os.environ)  # noqa: TID251 - see above
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, cwd=ROOT, env=known) as process:
        os.close(theirs)
        text = b""
        with suppress(OSError):  # what reading a terminal gives that nobody holds any more
            while chunk := os.read(ours, 4096):
                text += chunk
        os.close(ours)
    assert process.returncode == 0
    return text.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("width", [132, 80, 70, 60])
@pytest.mark.parametrize(("table", "rows"), [("", ROWS), ("PLAN_", PLAN_ROWS)])
def test_a_table_is_as_wide_as_the_terminal_and_its_names_are_whole(width, table, rows):
    """Each id and each number stands in one line, as it is, and no line is cut by the terminal."""
    text = printed(width, table)

    assert all(cell_len(line) <= width for line in text.splitlines())
    for row in rows:
        assert row[0] in text
        assert row[-1] in text
    assert "\x1b" not in text


def test_a_row_that_does_not_fit_becomes_a_block_of_lines():
    """On a terminal as narrow as a telephone, with the id alone in its line."""
    lines = printed(40).splitlines()

    assert [line for line in lines if line.startswith("backup_")] == [row[0] for row in ROWS]
    assert "  Size:          5.9 kB" in lines


def test_what_would_be_folded_to_a_word_a_line_becomes_a_block():
    """A message is read as a sentence."""
    assert "store offsite cannot be looked at: the store did not answer in" in printed(80, "ALERT_")


def test_nothing_is_folded_in_a_pipe():
    """However long a row is, it is one line for the next program."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format("")], capture_output=True, check=True, cwd=ROOT
    )
    lines = done.stdout.decode().splitlines()

    assert any("a_database_with_a_name\\x1b[31m" in line and "31.2 GB" in line for line in lines)


def test_a_terminal_without_colours_gets_no_codes(monkeypatch):
    """NO_COLOR leaves nothing bold either (https://no-color.org)."""
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b" not in printed(80)


def test_a_table_that_has_room_is_one_line_for_each_row():
    """In a pipe, and on a terminal that is wide enough, to the last blank."""
    command = [sys.executable, "-c", PROGRAM.format("")]
    piped = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, text=True).stdout
    lines = piped.split("\n")

    assert lines == printed(132).split("\n")
    assert [line.split() for line in lines[1:5]] == [
        ["Backup", "Created", "(UTC)", "Holds", "Proven", "Size"],
        ["─" * (cell_len(lines[0]) - 2)],
        ["backup_6b0aac188c376", "2026-11-28", "10:25", "shop", "2026-11-27", "5.9", "kB"],
        [
            "backup_6b0aac179cc08",
            "2026-11-28",
            "10:24",
            "shop,",
            "注文,",
            "blog",
            "-",
            "53.9",
            "kB",
        ],
    ]
    assert {cell_len(line) for line in lines[:-1]} == {cell_len(lines[0])}
    assert len({line.index("2026-11-28") for line in lines if "2026-11-28" in line}) == 1
    assert [line[-10:] for line in lines[3:5]] == ["   5.9 kB ", "  53.9 kB "]
