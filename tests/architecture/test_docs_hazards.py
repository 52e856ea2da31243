"""docs/hazards.md: numbers that can be relied on, and proofs that are there."""

import re

import pytest

from tests.fixtures.pages import DOCS, ROOT, rows


TEXT = (DOCS / "hazards.md").read_text()
# Number and title of each hazard, with what is said about it.
HAZARDS = [
    (int(number), title, text)
    for number, title, text in re.findall(
        r"^### (\d+)\. ([^\n]+)\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL
    )
]
SERIES = {"T": 17, "S": 6, "C": 5, "O": 13, "K": 9, "R": 11, "F": 10, "X": 9}
SOURCES = [*(ROOT / "app").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]


def test_no_number_is_given_twice():
    """Each names one hazard, and the group at the head of the page that it stands in tells it."""
    numbers = [number for number, _, _ in HAZARDS]
    told = re.findall(r"^- \[.+\]\(#.+\): (\d.*)$", TEXT, re.MULTILINE)
    spans = [part.split(" to ") for line in told for part in line.split(", ")]
    listed = [number for span in spans for number in range(int(span[0]), int(span[-1]) + 1)]

    assert sorted(numbers) == sorted(listed)
    assert len(set(numbers)) == len(numbers) >= 128


@pytest.mark.parametrize(("number", "title", "text"), HAZARDS, ids=lambda value: str(value)[:40])
def test_each_hazard_has_a_guard_and_a_proof(number, title, text):
    """In this order, both in words; modules that are named are there."""
    del number, title
    guard, proof = (
        re.search(rf"^- \*\*{word}:\*\* \S.+\.$", text, re.MULTILINE) for word in ("Guard", "Proof")
    )
    named = re.findall(r"`((?:contract|e2e|faults|integration)/test_\w+)`", text)

    assert guard
    assert proof
    assert guard.start() < proof.start()
    assert [module for module in named if not (ROOT / "tests" / f"{module}.py").exists()] == []


def test_every_code_of_the_first_series_is_mapped():
    """Each to hazards that exist."""
    table = {row[0]: row[2] for row in rows(TEXT) if re.fullmatch(r"[TSCOKRFX]\d+", row[0])}
    numbers = {number for number, _, _ in HAZARDS}

    assert list(table) == [
        f"{letter}{number}" for letter, most in SERIES.items() for number in range(1, most + 1)
    ]
    assert {int(number) for cell in table.values() for number in cell.split(", ")} <= numbers


def test_no_code_cites_a_hazard_that_is_not_there():
    """In comments and docstrings of the program and the tests."""
    cited = {
        int(number)
        for path in SOURCES
        for group in re.findall(r"\bhazards? (\d+(?:(?:, | and )\d+)*)", path.read_text().lower())
        for number in re.findall(r"\d+", group)
    }

    assert cited <= {number for number, _, _ in HAZARDS}
