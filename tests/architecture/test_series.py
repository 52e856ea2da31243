"""Long series: what has a long form has the mark by which `make test-long` finds it."""

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fixtures.pages import ROOT


# What chooses between both forms, where it is imported.
SERIES = "tests.fixtures.series"
CHOOSES = {"IS_LONG", "series", "some"}
Tree = ast.expr | ast.FunctionDef | ast.AsyncFunctionDef
FILES = [
    path
    for path in sorted((ROOT / "tests").rglob("test_*.py"))
    if f"from {SERIES} import" in path.read_text()
]


def unmarked(source: str) -> list[str]:
    """Name the tests of a module that have a long form and no mark; of drawn examples the mark is made."""
    module = ast.parse(source)
    trees = dict(_named(module))
    of_all = ast.unparse(trees["pytestmark"]) if "pytestmark" in trees else ""
    return [
        name
        for name in _with_long_forms(trees, _imported(module))
        if name.startswith("test_") and not _is_marked(trees[name], of_all)
    ]


def _imported(module: ast.Module) -> set[str]:
    return CHOOSES & {
        alias.name
        for node in module.body
        if isinstance(node, ast.ImportFrom) and node.module == SERIES
        for alias in node.names
    }


def _named(module: ast.Module) -> list[tuple[str, Tree]]:
    """Read what a module gives names to."""
    found: list[tuple[str, Tree]] = []
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append((node.name, node))
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [(name, node.value) for target in targets for name in _names(target)]
    return found


def _names(tree: ast.AST) -> set[str]:
    """Collect what a tree asks for by name; a test asks for fixtures by those of its parameters."""
    nodes = list(ast.walk(tree))
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.arg for node in nodes if isinstance(node, ast.arg)
    }


def _with_long_forms(trees: Mapping[str, Tree], chooses: set[str]) -> list[str]:
    """Follow the choice through constants, fixtures and helpers."""
    known: set[str] = set()
    found = chooses
    while found - known:
        known |= found
        found = {name for name, tree in trees.items() if _names(tree) & known}
    return sorted(known - chooses)


def _is_marked(test: Tree, of_all: str) -> bool:
    assert isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef)
    marks = of_all + "".join(map(ast.unparse, test.decorator_list))
    return "mark.long" in marks or "given(" in marks


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(Path(path).relative_to(ROOT)))
def test_every_long_form_is_run(path):
    """Nobody would see that it is not: its short form passes in every run."""
    assert not unmarked(path.read_text())


@pytest.mark.parametrize(
    "source",
    [
        "def test_a():\n    for _ in range(series(1, 9)): ...",
        "COUNT = series(1, 9)\ndef test_a():\n    assert COUNT",
        "@pytest.fixture\ndef rows(): return series(1, 9)\ndef test_a(rows): ...",
        "@pytest.mark.parametrize('x', some(range(9), 2))\ndef test_a(x): ...",
    ],
)
def test_one_that_is_not_marked_is_found(source):
    """Wherever it takes its number from; with the mark, or with a word of its own, it is right."""
    chooses = f"from {SERIES} import series, some\n{source}"
    assert unmarked(chooses) == ["test_a"]
    assert not unmarked(f"{chooses}\npytestmark = pytest.mark.long")
    assert not unmarked(source)
