"""Paths of pages as templates ask for them, and what templates take from each other."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI, Request
from jinja2 import Environment, PackageLoader, meta, nodes
from starlette.routing import NoMatchFound

from app.config import Settings
from app.domain.runs.run import RunKind
from app.main import create_app
from app.scheduling.clock import SystemClock
from app.web import rendering
from app.web.filters import FILTERS
from app.web.rendering import View, path_for
from tests.fixtures.records import run


TEMPLATE_ROOT = Path(rendering.__file__).parent / "templates"
TEMPLATE_FILES = sorted(TEMPLATE_ROOT.rglob("*.html"))
RENDERERS = {"render", "render_as", "fragment"}
LIVE = SimpleNamespace(database="shop", table="t", inserted=1, updated=None, deleted=None)
STAGED = SimpleNamespace(**vars(LIVE) | {"database": "shop__bk_new_0123456789ab"})


@pytest.fixture(scope="module")
def app():
    """An application that nobody starts."""
    return create_app(Settings())


def asking(app: FastAPI, root_path: str = "") -> Request:
    """Make a request to it."""
    return Request({"type": "http", "app": app, "root_path": root_path})


@pytest.mark.parametrize("backup_id", ["one", "{}", "{backup_id}", "a b", "\u20ac"])
def test_a_path_is_what_the_framework_says(app, backup_id):
    """Found anew or remembered, with any value in it."""
    for _ in range(2):
        path = path_for(asking(app), "get_backup", backup_id=backup_id)
        assert path == app.url_path_for("web:get_backup", backup_id=backup_id)


def test_a_proxys_prefix_stands_before_it(app):
    """Of two requests each has its own."""
    paths = [path_for(asking(app, prefix), "list_backups") for prefix in ("", "/behind", "/x/")]

    assert paths == ["/backups", "/behind/backups", "/x/backups"]


@pytest.mark.parametrize(
    ("method", "path", "here"),
    [
        ("GET", "/runs", "/runs?kind=backup&page=2"),
        ("GET", "//elsewhere.example/runs", "/"),
        ("POST", "/restore/backup_6b0d54e1ed9ba/confirm", "/"),
    ],
)
def test_a_page_is_come_back_to_with_its_filters(app, method, path, here):
    """But one that comes after a form cannot be opened by its address, nor is another host's one of ours."""
    request = Request({
        "type": "http", "app": app, "method": method, "path": path, "headers": [(b"host", b"here")],
        "query_string": b"kind=backup&page=2", "scheme": "http", "server": ("here", 80),
    })  # fmt: skip
    assert View(request, None, SystemClock().now()).here == here


def test_the_page_about_the_api_is_behind_the_prefix_too(app):
    """It is no page of ours, and has a path by its name as well."""
    seen = [
        View(asking(app, prefix), None, SystemClock().now()).api_documentation
        for prefix in ("", "/behind/")
    ]

    assert seen == ["/docs", "/behind/docs"]


@pytest.mark.parametrize("file", TEMPLATE_FILES, ids=lambda file: file.stem)
def test_no_template_leads_to_a_fixed_path(file):
    """Behind a proxy that adds a prefix it would lead out of the service."""
    assert re.findall(r"""\b(?:href|src|\w*action|hx-\w+)=["']/[^"']*""", file.read_text()) == []


@pytest.mark.parametrize("file", TEMPLATE_FILES, ids=lambda file: file.stem)
def test_every_instant_is_shown_as_people_read_it(file):
    """Also what only somebody who listens to the page gets: never with microseconds and an offset."""
    shown = re.findall(r"\{\{ [\w.]+(?:_at|_until) \}\}", file.read_text())

    assert shown == []


def test_what_has_no_path_is_an_error(app):
    """A name that nobody knows, and parts that the path has not."""
    with pytest.raises(NoMatchFound):
        path_for(asking(app), "nothing")
    with pytest.raises(NoMatchFound):
        path_for(asking(app), "list_backups", backup_id="one")


def parsed_templates():
    """Read every template of the pages as a tree, by its path."""
    environment = Environment()  # noqa: S701 - nothing is rendered
    environment.filters.update(FILTERS)
    return {
        str(file.relative_to(TEMPLATE_ROOT)): environment.parse(file.read_text())
        for file in TEMPLATE_FILES
    }


TEMPLATES = parsed_templates()
MACROS = {macro.name for tree in TEMPLATES.values() for macro in tree.find_all(nodes.Macro)}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_names_each_macro_that_it_calls(name):
    """What is called without it fails only when somebody sees what calls it."""
    tree = TEMPLATES[name]
    called = {
        call.node.name for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Name)
    }
    known = {macro.name for macro in tree.find_all(nodes.Macro)}
    for found in tree.find_all(nodes.FromImport):
        known |= {
            imported if isinstance(imported, str) else imported[1] for imported in found.names
        }

    assert called & MACROS <= known


def bound(tree):
    """Return the names that a template gives a value itself: imports, macros, and what it sets."""
    found = {macro.name for macro in tree.find_all(nodes.Macro)}
    for imported in tree.find_all(nodes.FromImport):
        found |= {name if isinstance(name, str) else name[1] for name in imported.names}
    for assigned in tree.find_all((nodes.Assign, nodes.AssignBlock)):
        target = assigned.target
        found |= {
            name.name for name in (target, *target.find_all(nodes.Name)) if hasattr(name, "name")
        }
    return found


def used(name):
    """Return the names that a page and its parts are to be given, but for those that have a default."""
    tree = rendering._ENVIRONMENT.parse((TEMPLATE_ROOT / name).read_text())
    optional = {
        default.node.name
        for default in tree.find_all(nodes.Filter)
        if default.name == "default" and isinstance(default.node, nodes.Name)
    }
    found = meta.find_undeclared_variables(tree) - optional
    parts: list[nodes.Include | nodes.Extends] = [
        *tree.find_all(nodes.Include),
        *tree.find_all(nodes.Extends),
    ]
    for part in parts:
        if isinstance(part.template, nodes.Const):
            found |= used(part.template.value)
    return found - bound(tree)


def rendered():
    """Return each page that is rendered by words alone, with those words and where."""
    for file in sorted(TEMPLATE_ROOT.parent.rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            if not isinstance(call, ast.Call) or getattr(call.func, "id", "") not in RENDERERS:
                continue
            words = {keyword.arg for keyword in call.keywords}
            for known in call.args:
                name = getattr(known, "value", None)
                if isinstance(name, str) and name.endswith(".html") and None not in words:
                    yield pytest.param(name, words, id=f"{file.stem}-{call.lineno}-{name}")


@pytest.mark.parametrize(("name", "words"), list(rendered()))
def test_a_page_is_given_all_that_it_and_its_parts_use(name, words):
    """Also what is only looked at when something has failed: the page would fail then, too."""
    assert used(name) - words <= {"view"}


def test_a_part_that_is_imported_is_given_all_that_it_uses():
    """It does not know what the page knows: a name that nobody gives fails only when somebody sees its line."""
    imported = {
        found.template.value
        for tree in TEMPLATES.values()
        for found in tree.find_all(nodes.FromImport)
        if isinstance(found.template, nodes.Const)
    }
    used = {name: meta.find_undeclared_variables(TEMPLATES[name]) for name in imported}

    assert "parts/archiver.html" in used
    assert {name: found for name, found in used.items() if found} == {}


@pytest.mark.parametrize("path", TEMPLATE_FILES, ids=lambda path: path.name)
def test_names_in_a_row_are_shown_with_nothing_hidden(path):
    """One after another as well, and where only those hear them who see nothing."""
    assert re.findall(r'join\(", "\) *\}\}', path.read_text()) == []


@pytest.fixture(scope="module")
def words():
    """The macro that says what a transaction did."""
    environment = Environment(loader=PackageLoader("app.web"), autoescape=True)
    environment.filters.update(FILTERS)
    return vars(environment.get_template("parts/transactions.html").module)["transaction_words"]


@pytest.mark.parametrize(("tables", "is_ours"), [([LIVE], False), ([STAGED], True)])
def test_rows_that_a_restore_has_loaded_are_its_part(words, tables, is_ours):
    """Also where the statement names no schema; what it says is of little use, so it is short."""
    statement = f"LOAD DATA LOCAL INFILE ? INTO TABLE t {'x' * 50}"
    found = SimpleNamespace(statement=statement, database="", tables=tables)
    told = words(found)

    assert ("part of a restore" in told) is is_ours
    assert (statement in told) is not is_ours


def result_of(app, kind, **result):
    """Render what the page of a run says of its result."""
    template = rendering._ENVIRONMENT.get_template("parts/run_result.html")
    view = View(asking(app), None, SystemClock().now())
    return template.render(view=view, run=run(kind=kind, result=result))


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("size", "Nothing of what is in the file was read"),
        ("hashes", "The rows were not looked at"),
        ("inflate", "The rows were not counted"),
        ("content", "7 rows in 2 statements were read and counted"),
    ],
)
def test_a_verification_claims_no_more_than_it_has_done(app, level, words):
    """Of a file whose length alone was compared no hash is called right, and none is called whole."""
    found = result_of(
        app, RunKind.VERIFICATION, level=level, rows_count=7, statements=2, size=9, raw_size=9
    )

    assert words in found
    assert ("every hash" in found) == (level != "size")
    assert ("</svg>whole</span>" in found) == (level == "content")


def test_a_prune_tells_what_could_not_be_deleted(app):
    """Each with why; where all went nothing is said."""
    result = {"deleted": [{}], "kept": 1, "freed_bytes": 0, "failed": [], "binlog": []}
    assert "Not all" not in result_of(app, RunKind.PRUNE, **result)

    held = {"backup_id": "backup_6b0d83dbda5fc", "code": "backup-in-use", "message": "it is read"}
    log = {"code": "storage-unavailable", "message": "no answer"}
    found = result_of(app, RunKind.PRUNE, **result | {"failed": [held], "binlog": [log]})
    assert "Not all that should go is gone" in found
    assert 'href="/backups/backup_6b0d83dbda5fc"' in found
    assert all(words in found for words in ("it is read", "backup-in-use", "no answer"))


def test_a_run_is_called_by_what_it_is_about():
    """A backup of all there is, by itself, and not by the backup that it makes."""
    name = rendering._ENVIRONMENT.from_string(
        '{% from "parts/show.html" import kind_name, names_of %}{{ kind_name(run) }}{{ names_of(run, " of ") }}'
    )
    made = run(backup_id="backup_6b0d83dbda5fc")
    assert name.render(run=made) == "Backup"
    assert "Verification of the backup of <time" in name.render(
        run=run(kind=RunKind.VERIFICATION, backup_id=made.backup_id)
    )


def test_a_dry_run_that_was_skipped_is_not_ticked_off():
    """Whoever confirms sees that nobody has looked at what the restore would do."""
    steps = rendering._ENVIRONMENT.from_string(
        '{% from "parts/restore_steps.html" import restore_steps %}{{ restore_steps(4, skipped=skipped) }}'
    )
    assert '<li class="done">Dry run</li>' in steps.render(skipped=0)
    assert "<li>Dry run, skipped</li>" in steps.render(skipped=3)
