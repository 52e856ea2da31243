"""The limits of the benchmarks' command line."""

from argparse import ArgumentTypeError

import pytest

from benchmarks import options


@pytest.mark.parametrize("text", ["50", "400", "10000"])
def test_sizes_from_50_mb_to_10_gb_are_taken(text):
    """Both ends are inside."""
    assert options.megabytes(text) == int(text)


@pytest.mark.parametrize("text", ["49", "10001", "-1", "1e3", ""])
def test_other_sizes_are_refused_with_the_reason(text):
    """What is too small to measure, too large, or no number is not tried."""
    with pytest.raises(ArgumentTypeError, match=r"between 50 and 10000|not a whole number"):
        options.megabytes(text)


def test_the_sizes_of_a_line_are_sorted_and_more_than_one():
    """One size says nothing about growth."""
    assert options.sizes("800,400,800") == [400, 800]
    with pytest.raises(ArgumentTypeError, match="two sizes"):
        options.sizes("400,400")


def test_every_program_runs_at_least_once():
    """A median of nothing is none."""
    assert options.rounds("1") == 1
    with pytest.raises(ArgumentTypeError, match="once or more"):
        options.rounds("0")


def test_without_arguments_the_shop_is_measured_three_times(monkeypatch):
    """What `make bench` means is what the published figures come from."""
    monkeypatch.delenv("MYDUMPER", raising=False)

    found = options.parse([])

    assert (found.shape, found.megabytes, found.rounds, found.only) == ("shop", None, 3, None)
    assert found.sizes == [400, 800, 1600, 3200]


@pytest.mark.parametrize("part", ["api", "scale"])
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["--shape", "wide"], "measures the shop"), (["--backstay", "no/such"], "is not there")],
)
def test_what_cannot_be_measured_is_refused_before_hours_of_loading(
    part, arguments, reason, capsys
):
    """A part of the shop takes no other data, and ours needs our program."""
    with pytest.raises(SystemExit):
        options.parse(["--only", part, *arguments])

    assert reason in capsys.readouterr().err


def test_all_shapes_are_smaller_than_one_alone():
    """All of them take less than an hour; a size that is given is that of each."""
    chosen = options.parse(["--shape", "all"]).data_sets

    assert set(chosen.values()) == {options.MEGABYTES_OF_ALL}
    assert set(options.parse(["--shape", "all", "--megabytes", "80"]).data_sets.values()) == {80}
    assert options.parse(["--shape", "wide"]).data_sets == {"wide": 100}
