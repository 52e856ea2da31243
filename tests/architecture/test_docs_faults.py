"""docs/faults.md: each fault meets each operation, and the tests that it names are there."""

import ast
import re
from functools import cache

import pytest

from tests.fixtures.pages import DOCS, ROOT


TEXT = (DOCS / "faults.md").read_text()
OPERATIONS = ("backup", "restore", "undo", "drill", "prune", "check")
MENDERS = ("we", "nobody", "a person")
# Each fault with its lines: what is done, what happens, what is left, who mends it, proof.
FAULTS = {
    title: [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in body.splitlines()
        if line.startswith("| ") and not line.startswith("| operation")
    ]
    for title, body in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
}
LINES = [(title, line) for title, lines in FAULTS.items() for line in lines]


@cache
def functions(module):
    """Return the names of the tests of a module."""
    tree = ast.parse((ROOT / "tests" / f"{module}.py").read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


@pytest.mark.parametrize("title", FAULTS)
def test_each_fault_meets_each_operation(title):
    """In this order; a line may tell of one part of it."""
    told = [line[0].partition(",")[0] for line in FAULTS[title]]

    assert [name for name in dict.fromkeys(told) if name != "requests"] == list(OPERATIONS)


@pytest.mark.parametrize(("title", "line"), LINES, ids=lambda value: str(value)[:40])
def test_each_line_is_whole_and_proven(title, line):
    """What is left and who mends it; the tests that it names are there."""
    del title
    _, happens, left, mender, proof = line
    named = re.findall(r"`([\w/]+)::(test_\w+)`", proof)

    assert happens
    assert left
    assert mender.startswith(MENDERS)
    assert named
    assert [name for module, name in named if name not in functions(module)] == []


def test_there_are_seven_faults():
    """Those that the page begins with."""
    assert len(FAULTS) == 7
