"""What the contest of stores says at its end: ratios beside their goals."""

from benchmarks import stores
from benchmarks.scores import Run, Score


def score(name: str, *seconds: float) -> Score:
    """Make the runs of a program."""
    return Score(name, "ours", [Run(took, 1.0, 1.0, 1, 1) for took in seconds])


def test_each_place_and_what_is_encrypted_there_is_compared_with_its_own():
    """By medians: the store with the disk, and what is encrypted with what is plain in the same place."""
    found = stores.ratios([
        score("backstay gzip", 1.0, 2.0, 9.0),
        score("backstay gzip, encrypted", 2.4),
        score("backstay gzip, to S3", 3.0),
        score("backstay gzip, to S3, encrypted", 3.3),
    ])

    assert found == {
        "S3 against the disk": 1.5,
        "encrypted against plain": 1.2,
        "encrypted against plain, S3": 1.1,
    }
    lines = stores.table({"backup": found}).splitlines()
    assert lines[2] == "| backup | S3 against the disk | 1.50 | <= 1.25, missed |"
    assert lines[3] == "| backup | encrypted against plain | 1.20 | <= 1.25 |"


def test_what_failed_is_compared_with_nothing():
    """Its reason stands in the table of the contest."""
    broken = Score("backstay gzip, from S3", "ours", failure="exit status 1")

    assert stores.ratios([score("backstay gzip", 1.0), broken]) == {}
