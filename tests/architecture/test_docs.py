"""Nothing is undocumented: commands, options, settings and errors are read from the code."""

import re
from pathlib import Path

import pytest
import typer.main

from app.cli.exits import exit_code
from app.cli.program import app
from app.config import Settings
from app.errors import AppError


ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def _commands(command, path=("backstay",)):
    """Yield the path and the command of everything that can be run, groups included."""
    yield " ".join(path), command
    for name, below in sorted(getattr(command, "commands", {}).items()):
        yield from _commands(below, (*path, name))


COMMANDS = dict(_commands(typer.main.get_command(app)))


def _errors(kind=AppError):
    for child in kind.__subclasses__():
        yield child
        yield from _errors(child)


def _section(text, heading):
    """Return what stands between a heading and the next."""
    found = re.search(rf"^##+ {re.escape(heading)}$(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {heading!r}"
    return found[1]


def _rows(path):
    """Return the rows of every table of a page, cells without backticks."""
    lines = (line for line in path.read_text().splitlines() if line.startswith("|"))
    return [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_described(name):
    """docs/cli.md has a section a command; its options and arguments stand in it."""
    section = _section((DOCS / "cli.md").read_text(), f"`{name}`")
    for parameter in COMMANDS[name].params:
        names = [parameter.metavar] if parameter.param_type_name == "argument" else parameter.opts
        assert all(f"`{one}" in section for one in names if one != "--help"), names


def test_no_option_is_described_that_is_not_there():
    """docs/cli.md promises nothing."""
    real = {
        option for command in COMMANDS.values() for one in command.params for option in one.opts
    }
    described = set(re.findall(r"`(--[a-z-]+)", (DOCS / "cli.md").read_text()))

    assert described <= real | {"--help"}


@pytest.mark.parametrize("page", [DOCS / "settings.md", ROOT / "README.md"], ids=lambda p: p.name)
def test_every_setting_is_described_with_its_default(page):
    """One row a setting: variable, default, meaning."""
    rows = {row[0]: row[1] for row in _rows(page) if row[0].startswith("BACKSTAY_")}
    defaults = {f"BACKSTAY_{name.upper()}": one for name, one in Settings.model_fields.items()}

    assert set(rows) == set(defaults)
    for name, field in defaults.items():
        if field.default_factory is None:
            default = str(field.get_default()).lower()
            assert default == rows[name].lower().removeprefix("./")


def test_every_error_is_in_the_table():
    """docs/errors.md: class, code, title, exit code, whether it may pass, meaning, what to do."""
    rows = {row[0]: row[1:] for row in _rows(DOCS / "errors.md") if row[0].endswith("Error")}

    assert list(rows) == [kind.__name__ for kind in _errors()]
    for kind in _errors():
        code, title, exits, retryable, meaning, remedy = rows[kind.__name__]
        assert (code, title) == (kind.code, kind.title)
        assert exits == str(exit_code(kind.__new__(kind)))
        assert retryable == ("yes" if kind.retryable else "no")
        assert meaning == (kind.__doc__ or "").strip().splitlines()[0]
        assert remedy.endswith(".")


@pytest.mark.parametrize("kind", list(_errors()), ids=lambda kind: kind.code)
def test_every_error_has_a_section_in_the_runbook(kind):
    """docs/runbook.md is headed by codes; each says something."""
    assert len(_section((DOCS / "runbook.md").read_text(), f"`{kind.code}`").split()) >= 8


def test_links_between_pages_lead_somewhere():
    """Every relative link of every page names a file."""
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"


@pytest.mark.parametrize("page", sorted((DOCS / "adr").glob("*.md")), ids=lambda p: p.name)
def test_a_decision_is_recorded_in_the_same_form(page):
    """Number, status, context, decision, consequences, alternatives, references."""
    text = page.read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert re.match(rf"# {int(page.name[:4])}\. \S.*\n\nStatus: (accepted|superseded by )", text)
    assert headings == ["Context", "Decision", "Consequences", "Alternatives", "References"]
