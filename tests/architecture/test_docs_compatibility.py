"""docs/compatibility.md says what the tests found, and README.md no more than that."""

import json

import pytest

from app.engine.flavor import FLAVORS
from tests.fixtures.pages import ROOT, rows
from tests.recorded.compatibility import NAMES, PAGE, RESULTS, feature_of, page_with, rendered


FOUND = json.loads(RESULTS.read_text())
# What `make test-servers` runs.
PARTS = ("integration", "faults", "contract", "e2e")
MODULES = sorted(
    path.relative_to(ROOT / "tests").with_suffix("").as_posix()
    for part in PARTS
    for path in (ROOT / "tests" / part).glob("test_*.py")
)


def test_the_table_is_what_the_runs_wrote():
    """`python -m tests.recorded.compatibility` makes it; no number in it is anybody's own."""
    assert page_with(rendered(FOUND)) == PAGE.read_text()


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_about_something(module):
    """A module of tests counts for one feature of the table."""
    assert feature_of(module)


def test_a_reason_is_one_that_a_test_gives():
    """A test that no longer differs has to be run again before the page may go on to say so."""
    texts = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    plain = texts.replace('"\n    "', "")
    reasons = {
        reason
        for server in FOUND.values()
        for module in server["modules"].values()
        for reason in module["differs"]
    }

    assert [reason for reason in sorted(reasons) if f'"{reason}"' not in plain] == []


def test_every_row_of_the_table_of_flavors_is_named():
    """With what was run of it, also when that is nothing."""
    table = {row[0] for row in rows(PAGE.read_text())}
    expected = {
        f"{NAMES[flavor.vendor]} {'.'.join(map(str, flavor.minimum[:2]))}" for flavor in FLAVORS
    }

    assert expected <= table


def test_the_readme_claims_what_was_run():
    """Vendor and series of each server in the table."""
    text = (ROOT / "README.md").read_text()

    for name, server in FOUND.items():
        vendor, series = NAMES[name.partition("-")[0]], ".".join(server["version"].split(".")[:2])
        assert vendor in text
        assert series in text
