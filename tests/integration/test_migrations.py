"""The tables of the control database and the files that make them, by Alembic's own command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from app.control.database import ControlDatabase
from app.control.schema import HEAD
from app.control.tables import metadata
from app.errors import ControlUnavailableError
from tests.fixtures import forked_python


ROOT = Path(__file__).parents[2]


# What `alembic` does in the root of the project, for one command after another.
CHILD = """
import os, sys, warnings
from alembic.config import main

_, root, *commands = sys.argv
os.chdir(root)
warnings.simplefilter("error")
for command in commands:
    main(command.split(), prog="alembic")
"""


class Alembic:
    """Calls `alembic` for one control database."""

    def __init__(self, address: str, home: Path) -> None:
        self._environment = {
            "PATH": os.defpath,
            "BACKSTAY_CONTROL_URL": address,
            "BACKSTAY_STATE_DIR": str(home / "state"),
        }
        self._output = home / "alembic.txt"

    def __call__(self, *commands: str) -> str:
        """Run commands to their end in a process of their own and return what they printed."""
        return forked_python.call(CHILD, [str(ROOT), *commands], self._environment, self._output)


@pytest.fixture
def alembic(control_address, tmp_path) -> Alembic:
    """The command line for `control_address`."""
    return Alembic(control_address, tmp_path)


async def names(database: ControlDatabase) -> set[str]:
    """Tables that there are."""
    async with database.reading() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


def test_the_program_knows_the_newest_version():
    """HEAD is what Alembic calls head, and there is only one."""
    scripts = ScriptDirectory.from_config(Config(ROOT / "alembic.ini"))
    assert scripts.get_heads() == [HEAD]


async def test_all_tables_come_and_go_again(alembic, control_address, tmp_path):
    """All tables come and go, as often as one likes; the files say just what the program expects."""
    database = ControlDatabase(control_address, tmp_path / "state")
    once = ("upgrade head", "check", "current")
    printed = alembic(*once, "downgrade base", *once)
    assert printed.count("No new upgrade operations detected") == 2
    assert printed.count(HEAD) >= 2
    assert await names(database) == {*metadata.tables, "alembic_version"}
    alembic("downgrade base")
    assert await names(database) == {"alembic_version"}
    await database.close()


async def test_the_program_makes_the_same_tables(alembic, control):
    """A database that the program prepared is one that Alembic finds nothing missing in."""
    await control.prepare()
    assert "No new upgrade operations detected" in alembic("check")


async def test_a_start_that_was_killed_is_taken_up(alembic, control, control_address, tmp_path):
    """Whatever of the first version is there already; a server commits each statement of DDL."""
    async with control.writing() as connection:
        await connection.execute(text("DELETE FROM alembic_version"))
        await connection.execute(text("DROP TABLE audit"))
        await connection.execute(text("DROP TABLE sessions"))

    await control.prepare()

    assert "No new upgrade operations detected" in alembic("check")


async def test_an_older_database_keeps_what_it_has(alembic, control_address, tmp_path):
    """The first version gets the tables of alerts at the next start, and its users stay."""
    alembic("upgrade 0001")
    database = ControlDatabase(control_address, tmp_path / "state")
    columns = "name, role, password_hash, created_at"
    async with database.writing() as connection:
        user = f"INSERT INTO users ({columns}) VALUES ('ann', 'admin', '$x', '2026-01-31 12:00:00')"
        await connection.execute(text(user))

    await database.prepare()

    assert "No new upgrade operations detected" in alembic("check")
    async with database.reading() as connection:
        assert (await connection.execute(text("SELECT name FROM users"))).scalars().all() == [
            b"ann" if connection.dialect.name == "mysql" else "ann"
        ]
    await database.close()


async def test_a_newer_database_is_refused(control):
    """And left as it is: an older program cannot know what is in it."""
    async with control.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'later'"))

    with pytest.raises(ControlUnavailableError, match="newer version") as caught:
        await control.prepare()

    assert "BACKSTAY_CONTROL_URL" in caught.value.hint
    async with control.reading() as connection:
        found = await connection.execute(text("SELECT version_num FROM alembic_version"))
        assert found.scalar_one() == "later"


def test_statements_can_be_printed(alembic):
    """For an administrator who runs them; nothing is connected to."""
    printed = alembic("upgrade head --sql")
    assert all(f"CREATE TABLE IF NOT EXISTS {name}" in printed for name in metadata.tables)


def test_ordinary_starts_do_without_alembic():
    """It is imported only by a start that changes the tables."""
    probe = "import sys, app.control.database; sys.exit('alembic' in sys.modules)"
    done = subprocess.run((sys.executable, "-c", probe), cwd=ROOT, check=False)

    assert done.returncode == 0
