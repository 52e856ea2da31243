"""Which version of the tables a database has, and how it gets the newest."""

from pathlib import Path
from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    inspect,
    text,
)

from app.control.tables import metadata
from app.errors import ControlUnavailableError


# The newest file in `migrations/versions`; here, so that a start need not import Alembic.
HEAD: Final = "0004"
_MIGRATIONS: Final = Path(__file__).with_name("migrations")
# As Alembic makes it.
_VERSION: Final = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def revision_of(connection: Connection) -> str:
    """Return the version of the tables; empty when there are none."""
    if not inspect(connection).has_table(_VERSION.name):
        return ""
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return str(found or "")


def upgrade(connection: Connection) -> None:
    """
    Bring the tables to the newest version; nobody else may do the same meanwhile.

    Raises:
        ControlUnavailableError: The database is of a version that this program does not know.
    """
    found = revision_of(connection)
    if found == HEAD:
        return
    if not {*metadata.tables, _VERSION.name} & set(inspect(connection).get_table_names()):
        _create(connection)
        return
    # Here, because they take longer to import than an ordinary start takes for this module.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    if found and found not in known:
        raise ControlUnavailableError(
            "the control database was written by a newer version of this program",
            hint="Install that version, or let BACKSTAY_CONTROL_URL name another database.",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _create(connection: Connection) -> None:
    """
    Make all tables at once where there are none: step by step takes a first start half a second more.

    The version comes last: what was killed before is taken up by Alembic's steps, which leave what is there.
    """
    metadata.create_all(connection)
    _VERSION.create(connection)
    connection.execute(_VERSION.insert().values(version_num=HEAD))
