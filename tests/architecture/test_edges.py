"""What the command line may know of the API."""

import ast
from pathlib import Path

import pytest


CLI = Path(__file__).parents[2] / "app" / "cli"
FILES = sorted(path for path in CLI.rglob("*.py") if path.name != "serve.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CLI)))
def test_no_command_but_serve_needs_the_api(path):
    """A restore works when the service is down, or its libraries cannot be loaded."""
    imported = {
        name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }

    assert not {name for name in imported if name and name.startswith(("app.api", "app.main"))}
