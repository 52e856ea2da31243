"""The exponent of cost against size."""

import json

import pytest

from benchmarks import scale
from benchmarks.scale import Point
from benchmarks.scores import Run, Score


def point(megabytes: int, seconds: float, *, restored: bool = True) -> Point:
    """Make what one size cost; a restore takes three times a backup."""
    backup = Score("ours", "", [Run(seconds, 0, 0, 80_000_000, 1)])
    restore = Score("ours", "", [Run(3 * seconds, 0, 0, 90_000_000, 0)] if restored else [])
    return Point(megabytes, megabytes * 1_000_000, {"backup": backup, "restore": restore})


@pytest.mark.parametrize("power", [0.5, 1.0, 1.05, 2.0])
def test_the_exponent_of_a_power_law_is_found(power):
    """Whatever the constant is."""
    sizes = (400, 800, 1600, 3200)

    assert scale.exponent([(size, 0.01 * size**power) for size in sizes]) == pytest.approx(power)


def test_the_exponent_is_the_least_squares_of_logarithms():
    """Noise up and down at the same distance from the line leaves its slope."""
    points = [(1, 1.1), (10, 10 / 1.1), (100, 100 / 1.1), (1000, 1100)]

    assert scale.exponent(points) == pytest.approx(1.0)


def test_a_part_measured_once_has_no_exponent():
    """A failed restore does not hide the backups."""
    points = [point(400, 4.0), point(800, 8.0, restored=False)]

    assert scale.exponents(points) == {"backup": pytest.approx(1.0)}


def test_the_table_has_exponent_and_peaks_of_each_part():
    """Flat memory is seen at a glance."""
    lines = scale.table([point(400, 4.0), point(800, 8.0)]).splitlines()

    assert lines[2:] == ["| backup | 1.000 | 80, 80 |", "| restore | 1.000 | 90, 90 |"]


def test_the_json_has_points_and_exponents():
    """Rates are of plain SQL."""
    figures = scale.as_json([point(400, 4.0), point(800, 10.0, restored=False)])

    first, second = json.loads(json.dumps(figures))["points"]
    assert first["parts"]["backup"]["megabytes_per_second"] == pytest.approx(100)
    assert list(second["parts"]) == ["backup"]
