"""What live tables mean for rows of a backup, as far as no server need be asked."""

from dataclasses import replace

from app.domain.backups.manifest import Codec, ColumnEntry
from app.domain.restores.restore import RestoreRequest
from app.engine.schema.tables import Table
from app.services.restores.live_databases import misfits
from app.services.restores.plan import plan_loads
from tests.fixtures.archives import backup_id_of, draft_of


DRAFT = draft_of(backup_id_of(1), Codec.GZIP, {"users": 5})
(LOAD,) = plan_loads(DRAFT, RestoreRequest(DRAFT.backup_id, data_only=True))
NAME = ColumnEntry("name", "varchar", "varchar(9)", nullable=False)
SUM = ColumnEntry("sum", "int", "int(11)", nullable=True, generated=True)
USERS = replace(LOAD.entry.tables[0], columns=(NAME, SUM))


def found(**live):
    """Compare a table of the backup with one that differs from it in these attributes."""
    return misfits(LOAD, USERS, Table("shop", replace(USERS, **live)))


def test_a_table_that_is_not_there_cannot_keep_its_definition():
    """It is named as the target has it."""
    assert misfits(LOAD, USERS, None) == [
        "table shop.users is not there, so it cannot keep its definition"
    ]


def test_columns_and_the_key_must_be_those_of_the_backup():
    """But for what the server computes itself; each that differs is named with both types."""
    wider = replace(NAME, column_type="varchar(99)")

    assert found() == found(columns=(NAME,)) == []
    assert found(columns=(wider, SUM)) == [
        "column 'name' of shop.users is varchar(9) in the backup, and varchar(99) here"
    ]
    assert found(columns=()) == [
        "column 'name' of shop.users is varchar(9) in the backup, and missing here"
    ]
    assert found(key=("name",)) == ["table shop.users has another key than in the backup"]
