"""What the proof of definitions tells of a difference: its place, and nothing that may be a secret."""

import pytest

from app.errors import ProofFailedError


SECRET = "hunter2"
TOLD = {
    f"ALTER TABLE t MODIFY a INT COMMENT '{SECRET}'": "column `a` has nothing more in the backup, COMMENT here",
    "ALTER TABLE t MODIFY a BIGINT": "column `a` has int in the backup, bigint here",
    f"ALTER TABLE t ALTER b SET DEFAULT '{SECRET}'": "column `b` differs after DEFAULT",
    "ALTER TABLE t MODIFY b VARCHAR(31) NOT NULL DEFAULT 'x'": "column `b` differs after varchar",
    "ALTER TABLE t DROP KEY k": "index `k` is missing",
    "ALTER TABLE t ADD UNIQUE KEY (a)": "index `a` is not in the backup",
    f"ALTER TABLE t ADD c INT DEFAULT 7 COMMENT '{SECRET}'": "column `c` is not in the backup",
    "ALTER TABLE t DROP PRIMARY KEY": "PRIMARY KEY is missing",
    "ALTER TABLE t MODIFY b VARCHAR(30) NOT NULL DEFAULT 'x' FIRST": "the order of columns, indexes and constraints",
    "ALTER TABLE t ROW_FORMAT = DYNAMIC": "option ROW_FORMAT",
    f"ALTER TABLE t COMMENT = '{SECRET}'": "option COMMENT",
    "ALTER TABLE t PARTITION BY HASH (id) PARTITIONS 2": "its partitions",
    f"CREATE OR REPLACE VIEW v AS SELECT a, '{SECRET}' AS b FROM t": "its text differs after",
    f"DROP PROCEDURE p; CREATE PROCEDURE p() SELECT 1 -- {SECRET}\n": "its body",
    f"DROP PROCEDURE p; CREATE PROCEDURE p() COMMENT '{SECRET}' SELECT 1": "its head has",
    "SET sql_mode = 'ANSI'; DROP PROCEDURE p; CREATE PROCEDURE p() SELECT 1": "its sql_mode is",
    "ALTER EVENT e COMMENT 'x'": "its head has",
}  # fmt: skip


async def test_what_is_not_as_in_the_backup_is_told_without_a_value(backstay, sql, database):
    """An error names the object and the part that differs: names and keywords, no text, number or comment."""
    made = [
        "CREATE TABLE t (id INT NOT NULL, a INT, b VARCHAR(30) NOT NULL DEFAULT 'x', PRIMARY KEY (id), KEY k (a))",
        "CREATE VIEW v AS SELECT a, 'x' AS b FROM t",
        "CREATE PROCEDURE p() SELECT 1",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01' DISABLE DO SELECT 1",
    ]
    sql.script(made)
    manifest = await backstay.backup(database)
    assert await backstay.prove(manifest.backup_id) == []

    for change, told in TOLD.items():
        sql.script(change.split("; "))
        with pytest.raises(ProofFailedError) as caught:
            await backstay.prove(manifest.backup_id)
        assert f"is not defined as in the backup: {told}" in str(caught.value), change
        assert SECRET not in str(caught.value)
        sql.script([
            "SET sql_mode = DEFAULT",
            "DROP TABLE t",
            "DROP VIEW v",
            "DROP PROCEDURE p",
            "DROP EVENT e",
            *made,
        ])
    assert await backstay.prove(manifest.backup_id) == []
