"""Command line: what a command does not wait for when it starts."""

import ast
import subprocess
import sys

from tests.fixtures.cli import PROGRAM


# Runs the command line that follows, and tells on stderr at its end what an expression is worth then.
_TOLD = """
import atexit, gc, sys
from app.cli.entry import main
del sys.argv[0]
atexit.register(lambda: print({}, file=sys.stderr))
main()
"""
_MODULES = "sorted(sys.modules)"
# What no backup into the backup directory needs on an ordinary day.
_NEEDLESS = {
    "alembic", "apprise", "apscheduler", "asyncssh", "botocore", "fastapi", "httpx", "jinja2",
    "obstore", "rich", "starlette", "structlog", "uvicorn",
    "app.api", "app.binlog.events", "app.sandbox", "app.services.scheduled_copies",
    "app.services.log_retention", "app.services.point_in_time.service", "app.services.restores",
    "app.services.schedules", "app.web",
}  # fmt: skip
# As few as it takes today, and some for what is to come: each costs a millisecond.
_MOST_MODULES = 940
_MOST_MODULES_OF_A_LIST = 540
# A command that works for so many seconds, and then looks whether garbage is collected.
_LONG = """
import asyncio, gc, sys
from types import SimpleNamespace
from app.cli.execution import CommandResult, execute

async def work():
    await asyncio.sleep(float(sys.argv[1]))
    return CommandResult(None, lambda: print(gc.isenabled()))

gc.disable()
execute(work, as_json=False)
"""


def _python(program, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, check=True, **options,
    )  # fmt: skip


def _listed(tmp_path, fact):
    """List no backups, and return what a fact is at the end."""
    (tmp_path / "backups").mkdir(mode=0o700)
    listed = _python(_TOLD.format(fact), PROGRAM, "backup", "list", cwd=tmp_path, env={})
    assert listed.stdout.startswith("No backups.")
    return listed.stderr


def test_help_and_version_are_there_at_once():
    """They import nothing that a backup needs."""
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True)
    heavy = _python("import sys, app.cli.program; print(sorted(sys.modules))")

    assert version.stdout.startswith("backstay ")
    for name in ("sqlalchemy", "pydantic", "aiomysql", "structlog", "fastapi", "app.documents"):
        assert f"'{name}'" not in heavy.stdout


def test_a_list_waits_for_no_driver(tmp_path):
    """It reads files: no SQLAlchemy, no engine and, in a pipe, nothing for terminals is imported for it."""
    modules = set(ast.literal_eval(_listed(tmp_path, _MODULES)))

    needless = {"sqlalchemy", "aiomysql", "alembic", "apprise", "app.engine", "app.control"}
    assert sorted({*needless, "rich.console"} & modules) == []
    assert len(modules) <= _MOST_MODULES_OF_A_LIST


def test_a_backup_waits_for_what_it_needs_and_nothing_else(cli, database):
    """Neither what restores, copies and serves is imported for it, nor many modules in all."""
    cli.wrapper = (sys.executable, "-c", _TOLD.format(_MODULES))

    made = cli("backup", "create", "--database", database)

    assert made.code == 0
    modules = set(ast.literal_eval(made.err))
    assert sorted(_NEEDLESS & modules) == []
    assert len(modules) <= _MOST_MODULES


def test_a_start_looks_for_no_garbage(tmp_path):
    """What it makes lives to the end: a command that is over soon collects nothing."""
    assert _listed(tmp_path, "gc.isenabled()") == "False\n"


def test_a_command_that_works_for_long_collects_garbage():
    """From its third second on; until then there is little."""
    assert _python(_LONG, "0.1").stdout == "False\n"
    assert _python(_LONG, "2.5").stdout == "True\n"
