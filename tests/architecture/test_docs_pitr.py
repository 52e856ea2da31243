"""docs/pitr.md: the tests that show what holds are there."""

import ast
import re

import pytest

from tests.fixtures.pages import DOCS, ROOT


NAMED = re.findall(r"`([\w/]+)::(test_\w+)`", (DOCS / "pitr.md").read_text())
LINES = re.findall(r"^\| (P\d+(?:, P\d+)*) \|", (DOCS / "pitr.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize(("module", "name"), NAMED, ids=lambda value: value[:60])
def test_each_proof_is_there(module, name):
    """By module and function."""
    tree = ast.parse((ROOT / "tests" / f"{module}.py").read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Assign)

    assert name in {getattr(node, "name", "") for node in tree.body if isinstance(node, kinds)}


def test_all_of_it_has_a_line():
    """P1 to P19, in some order."""
    told = [int(number) for line in LINES for number in re.findall(r"\d+", line)]

    assert sorted(told) == list(range(1, 20))
