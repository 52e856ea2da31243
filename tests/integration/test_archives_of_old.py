"""Archives of every earlier version of the format: they can be read and restored for ever."""

import asyncio
import shutil
from pathlib import Path

import pytest

from app.domain.backups.check_notes import VerifyLevel


CORPORA = Path(__file__).parents[1] / "corpora"
FILES = sorted(path for path in CORPORA.glob("v?/*") if path.suffix != ".json")


@pytest.mark.differs("mysql", reason="they hold a sequence")
@pytest.mark.parametrize("file", FILES, ids=lambda path: path.parent.name + path.suffix)
async def test_an_archive_of_an_earlier_program_comes_back(file, backstay, sql):
    """Proven to the last row, restored with its objects, and its lost manifest made again."""
    directory = backstay.directory
    directory.mkdir(mode=0o700)
    shutil.copy(file, directory)
    report = await asyncio.to_thread(backstay.catalogue.rebuild)
    (backup_id,) = report.rebuilt
    shutil.copy(f"{file}.manifest.json", directory)

    manifest = await backstay.backups.info(backup_id)
    checked = await backstay.backups.verify(backup_id, VerifyLevel.CONTENT)
    await backstay.restore(manifest, "kept_copy")

    assert manifest.format_version == int(file.parent.name[1:])
    assert checked.rows == 1403
    try:
        rows = sql.run(
            "SELECT COUNT(*), SUM(price), SUM(twice), SUM(doubled) FROM"
            " (SELECT o.*, kept_copy.doubled(o.id) AS doubled FROM kept_copy.orders o) x"
        )
        assert [tuple(map(float, row)) for row in rows] == [(900, 506812.5, 1013625, 810900)]
        assert sql.run("SELECT COUNT(*), SUM(total) FROM kept_copy.totals")[0][0] == 500
        assert sql.run("SELECT s FROM kept_copy.loose WHERE s > ''") == [("it's \\ here",)]
        assert sql.run("SELECT NEXTVAL(kept_copy.numbers)")[0][0] > 5
    finally:
        sql.run("DROP DATABASE kept_copy")
