"""The table and the JSON of a contest."""

import json

import pytest

from benchmarks import scores
from benchmarks.scores import Contest, Run, Score


def run(seconds: float, peak: int = 50_000_000) -> Run:
    """Make one measured execution."""
    return Run(seconds, 1.5, 0.5, peak, 20_000_000)


OURS = Score(scores.OURS, "ours", [run(2.0), run(4.0, 60_000_000), run(3.0)])
THEIRS = Score("dump | gzip", "theirs", [run(9.0), run(12.0), run(7.5)])
BROKEN = Score("broken", "false", failure="exit status 1: a|b")
CONTEST = Contest("shop 400 MB", "backup", 300_000_000, [OURS, THEIRS, BROKEN])


def cells(line: str) -> list[str]:
    """Split a line of a Markdown table, escaped bars aside."""
    return [cell.strip() for cell in line.replace(r"\|", "¦").strip("|").split("|")]


def test_a_line_has_median_extremes_rate_and_ratio():
    """The median of three, not their mean; megabytes of SQL a second; times ours."""
    ours, theirs, _ = (cells(line) for line in scores.lines(CONTEST))

    assert ours == [
        *("shop 400 MB", "backup", "backstay gzip", "3.00", "2.00", "4.00"),
        *("100", "1.00", "20.0", "60", "1.50", "0.50"),
    ]
    assert theirs[2:8] == ["dump ¦ gzip", "9.00", "7.50", "12.00", "33", "3.00"]


def test_lines_and_header_have_the_same_columns():
    """The rule below the header has them too."""
    names, rule = scores.header().splitlines()

    widths = {len(cells(line)) for line in (names, rule, *scores.lines(CONTEST)[:2])}

    assert widths == {len(scores.HEADINGS)}


def test_a_failed_program_has_its_reason_and_no_figures():
    """No program is fast by failing."""
    assert cells(scores.lines(CONTEST)[2])[2:] == ["broken", "failed: exit status 1: a¦b"]
    assert "median_seconds" not in scores.as_json(CONTEST)[2]


def test_without_ours_there_are_no_ratios():
    """Peers are measured alone where our program is not built."""
    alone = Contest("shop 400 MB", "backup", 300_000_000, [THEIRS])

    assert cells(scores.lines(alone)[0])[7] == "-"
    assert scores.as_json(alone)[0]["times_ours"] is None


def test_the_json_has_every_run_and_the_medians():
    """What the table rounds can be computed again."""
    theirs = json.loads(json.dumps(scores.as_json(CONTEST)))[1]

    assert [their["seconds"] for their in theirs["runs"]] == [9.0, 12.0, 7.5]
    assert theirs["median_seconds"] == 9.0
    assert theirs["times_ours"] == pytest.approx(3.0)
    assert theirs["megabytes_per_second"] == pytest.approx(300 / 9)
