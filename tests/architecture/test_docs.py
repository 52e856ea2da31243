"""Nothing is undocumented: commands, options, settings and errors are read from the code."""

import re
from asyncio import CancelledError

import httpx
import pytest

from app.api import problems
from app.cli.exits import USAGE, exit_code
from app.cli.program import build_program
from app.config import Settings
from app.domain.runs import failures
from app.errors import AppError
from app.main import create_app
from tests.fixtures.pages import DOCS, PAGES, ROOT, anchors, rows, section


def _commands(command, path=("backstay",)):
    """Yield the path and the command of everything that can be run, groups included."""
    yield " ".join(path), command.load() if hasattr(command, "load") else command
    for name, below in sorted(getattr(command, "commands", {}).items()):
        yield from _commands(below, (*path, name))


COMMANDS = dict(_commands(build_program()))


FIELDS = {f"BACKSTAY_{name.upper()}": field for name, field in Settings.model_fields.items()}


def _errors(kind=AppError):
    for child in kind.__subclasses__():
        yield child
        yield from _errors(child)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_described(name):
    """docs/cli.md has a section a command; its options and arguments stand in it."""
    text = section((DOCS / "cli.md").read_text(), f"`{name}`")
    for parameter in COMMANDS[name].params:
        names = [parameter.metavar] if parameter.param_type_name == "argument" else parameter.opts
        assert all(f"`{name}" in text for name in names if name != "--help"), names


def test_no_option_is_described_that_is_not_there():
    """docs/cli.md promises nothing."""
    real = {
        option for command in COMMANDS.values() for param in command.params for option in param.opts
    }
    described = set(re.findall(r"`(--[a-z-]+)", (DOCS / "cli.md").read_text()))

    assert described <= real | {"--help"}


def _named(text):
    """Yield the words of each command that a text names, in quotes or on a line of its own."""
    for found in re.finditer(
        r"""(?:['`]|<code>|^(?:\$ )?)backstay ([a-z][a-z-]*(?: [^'"`<\n|>#;&()]*)?)""",
        text,
        re.MULTILINE,
    ):
        yield found[1].replace("{where}", "").split()


def _is_there(words):
    """Tell whether a command is one, with its options."""
    path = next(
        (
            " ".join(["backstay", *words[:end]])
            for end in (2, 1)
            if " ".join(["backstay", *words[:end]]) in COMMANDS
        ),
        "",
    )
    if not path or (len(words) > 1 and hasattr(COMMANDS[path], "commands")):
        return False
    known = {option for param in COMMANDS[path].params for option in param.opts}
    given = {word.partition("=")[0].rstrip(".,:") for word in words if word.startswith("--")}
    return given <= known | {"--help"}


def test_every_command_that_is_named_is_there():
    """In documents, in hints and in the pages: with its options, as somebody would copy it."""
    texts = [*PAGES, *(ROOT / "app").rglob("*.py"), *(ROOT / "app").rglob("*.html")]
    named = [(text.name, words) for text in texts for words in _named(text.read_text())]

    assert len(named) > 200
    assert [each for each in named if not _is_there(each[1])] == []


def test_every_setting_is_described_with_its_default():
    """docs/settings.md: one row a setting, with its variable, default and meaning."""
    text = (DOCS / "settings.md").read_text()
    table = {row[0]: row[1] for row in rows(text) if row[0].startswith("BACKSTAY_")}

    assert table.keys() == FIELDS.keys()
    for name, shown in table.items():
        if FIELDS[name].default_factory is None:
            default = FIELDS[name].get_default()
            assert ("" if default is None else str(default).lower()) == shown.lower().removeprefix(
                "./"
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_setting_is_named_that_is_not_there(page):
    """Wherever a page names a variable, it is one of ours."""
    named = set(re.findall(r"\bBACKSTAY_[A-Z_]*[A-Z]\b", page.read_text()))

    assert named <= FIELDS.keys() | {
        "BACKSTAY_TEST_LONG",
        "BACKSTAY_TEST_RESULTS",
        "BACKSTAY_TEST_SERVER",
        "BACKSTAY_TEST_URL",
    }


def test_every_error_is_in_the_table():
    """docs/errors.md: class, code, title, exit code, status, whether it may pass, what to do."""
    table = {row[0]: row[1:] for row in rows((DOCS / "errors.md").read_text())}
    table = {name: row for name, row in table.items() if name.endswith("Error")}

    assert sorted(table) == sorted(kind.__name__ for kind in _errors())
    for kind in _errors():
        code, title, exits, status, retryable, meaning, remedy = table[kind.__name__]
        assert (code, title) == (kind.code, kind.title)
        assert exits == str(exit_code(kind.__new__(kind)))
        assert status == str(problems.status_of(kind).value)
        assert status == str(problems.status_of_code(code).value)
        assert retryable == ("yes" if kind.retryable else "no")
        assert meaning == (kind.__doc__ or "").strip().splitlines()[0]
        assert remedy.endswith(".")


async def test_every_code_without_a_class_is_in_the_other_table():
    """Endings that are no error of the program, bugs, and what the framework refuses."""
    table = {row[0]: row[1:4] for row in rows((DOCS / "errors.md").read_text()) if len(row) == 5}
    transport = httpx.ASGITransport(create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://backstay") as client:
        refused = (await client.get("/api/admin/backup/create")).json()

    assert set(table) == {"code", "---", "cancelled", "usage", "internal", refused["code"]}
    assert table[refused["code"]] == [refused["title"], "-", str(refused["status"])]
    for code, error in (("cancelled", CancelledError()), ("internal", ZeroDivisionError())):
        failed = failures.failure(error)
        status = problems.status_of_code(code).value
        assert (failed.code, table[code]) == (
            code, [failed.title, str(exit_code(error)), str(status)],
        )  # fmt: skip
    assert table["usage"][1:] == [str(USAGE), "-"]


@pytest.mark.parametrize("kind", list(_errors()), ids=lambda kind: kind.code)
def test_every_error_has_a_section_in_the_runbook(kind):
    """docs/runbook.md is headed by codes; each says something."""
    assert len(section((DOCS / "runbook.md").read_text(), f"`{kind.code}`").split()) >= 8


def test_links_between_pages_lead_somewhere():
    """Every relative link of every page names a file, and a heading where it names one."""
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
            path = page.parent / target if target else page
            assert path.exists(), f"{page.name} -> {target}"
            assert not anchor or anchor in anchors(path), f"{page.name} -> {target}#{anchor}"


@pytest.mark.parametrize("page", sorted((DOCS / "adr").glob("*.md")), ids=lambda p: p.name)
def test_a_decision_is_recorded_in_the_same_form(page):
    """Number, status, context, decision, consequences, alternatives, references."""
    text = page.read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert re.match(rf"# {int(page.name[:4])}\. \S.*\n\nStatus: (accepted|superseded by )", text)
    assert headings == ["Context", "Decision", "Consequences", "Alternatives", "References"]
