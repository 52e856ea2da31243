"""The rooms, modules and files that docs/architecture.md and the decisions name are there, and no others."""

import re
import tomllib

import pytest

from tests.fixtures.pages import DOCS, ROOT


TEXT = (DOCS / "architecture.md").read_text()
# A table of rooms, with the package that they are in where the line before it names one.
_TABLES = re.compile(
    r"(?:^`(app/\w+)`, [^\n]+:\n\n)?^\| room \|[^\n]*\n\|---[^\n]*\n((?:\|[^\n]*\n)+)", re.MULTILINE
)
# A module of these is found by what it is for: a command, a route, a page, a family of errors, a migration.
_NAMED_BY_KIND = (
    "app/cli/commands/",
    "app/api/routers/",
    "app/web/pages/",
    "app/errors/",
    "app/control/migrations/",
)


def _exists(path):
    return (ROOT / path).exists() or (ROOT / f"{path}.py").exists()


def _named():
    """Yield every path that a table of rooms names."""
    for base, lines in _TABLES.findall(TEXT):
        for line in lines.splitlines():
            room, content = (cell.strip() for cell in line.strip("|").split("|"))
            place = room.strip("`/").removesuffix(".py") if room.startswith("`") else ""
            folder = "/".join(part for part in (base, place) if part)
            yield folder
            beside = folder if (ROOT / folder).is_dir() else folder.rpartition("/")[0]
            yield from (f"{beside}/{name}" for name in re.findall(r"`(\w+)/?`", content))


def test_every_room_and_module_is_there():
    """As the tables list them."""
    named = list(_named())

    assert len(named) > 80
    assert [path for path in named if not _exists(path)] == []


def test_every_module_is_in_a_table():
    """Whoever looks for a room finds all that is in it, but in folders with a module a command, route, page and so on."""
    modules = (ROOT / "app").rglob("*.py")
    paths = [module.relative_to(ROOT).with_suffix("") for module in modules]
    named = set(_named())

    assert [
        str(path)
        for path in paths
        if not path.name.startswith("__")
        and not str(path).startswith(_NAMED_BY_KIND)
        and str(path) not in named
    ] == []


def test_the_picture_of_the_layers_has_each_of_them():
    """In the order that import-linter holds them to, from the top down; what stands beside others in any order."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (contract["layers"] for contract in contracts if contract["id"] == "layers")
    held = [set(layer.split(" | ")) for layer in layers if not layer.startswith("__")]
    picture = (DOCS / "layers.svg").read_text()
    (described,) = re.findall(r"<desc[^>]*>[^:]*: (.*)\.</desc>", picture)
    names = re.findall(r"\w+", re.sub(r"\b(?:and|then|side by side)\b", "", described))
    drawn = re.findall(
        r"\w+", " ".join(re.findall(r"<text x=\"\d+\" y=\"\d+\">([\w, ]+)</text>", picture))
    )

    assert set(names) <= set(drawn)
    for layer in held:
        assert set(names[: len(layer)]) == layer
        del names[: len(layer)]
    assert names == []


def test_every_path_that_a_text_names_is_there():
    """Each path in a text, from `app/` on."""
    paths = set(re.findall(r"`(app/[\w/.]+)`", TEXT))

    assert len(paths) > 40
    assert [path for path in sorted(paths) if not _exists(path)] == []


@pytest.mark.parametrize("page", sorted((DOCS / "adr").glob("*.md")), ids=lambda page: page.name)
def test_every_file_that_a_decision_names_is_there(page):
    """A decision leads to what enforces it, also after that has moved."""
    named = set(re.findall(r"`((?:app|tests|docs|scripts|benchmarks)/[\w/.-]+)`", page.read_text()))

    assert [path for path in sorted(named) if not _exists(path)] == []
