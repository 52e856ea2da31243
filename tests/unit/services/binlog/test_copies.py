"""Copies of the archive in stores: one that fails is told, and keeps neither the archiver nor the others waiting."""

import asyncio
from pathlib import Path

import pytest

from app.domain.alerts.alert import AlertKind
from app.domain.store_trial import StoreFacts
from app.services.binlog import copies
from app.services.binlog.copies import LogCopies
from app.storage.local import LocalDirectory
from app.storage.remote.local import LocalStore
from tests.fixtures.binlog import archive, corpus, directory_in
from tests.fixtures.log_archive import RealClock, until
from tests.fixtures.monitored_installation import RaisedAlerts


def facts(name) -> StoreFacts:
    """Describe a store."""
    return StoreFacts(name, "local", name, append_only=False, object_lock_days=0)


async def test_a_store_that_fails_is_told_and_comes_back(tmp_path: Path, monkeypatch):
    """The other one has everything meanwhile; another process is told the same."""
    monkeypatch.setattr(copies, "_PAUSES", (0.05,))
    archive(directory_in(tmp_path), corpus("mysql-9.7")).close()
    (tmp_path / "there").mkdir()
    alarm, root = RaisedAlerts(), LocalDirectory(tmp_path / "binlog")

    def opened(name) -> LocalStore:
        return LocalStore(tmp_path / name)

    pruned: list[str] = []

    async def prune(name: str) -> None:
        pruned.append(name)

    def made() -> LogCopies:
        names = ("there", "away")
        return LogCopies(root, names, facts, opened, RealClock(), alarm, prune=prune)

    assert [copy.current_as_of for copy in made().read()] == [None, None]
    task = asyncio.create_task(made().run_forever())
    try:
        await until(lambda: bool(made().read()[1].code), "nothing is told")
        await until(lambda: bool(alarm.raised), "no alert")
        await until(lambda: bool(made().read()[0].current_as_of), "nothing is copied")
        assert alarm.about(AlertKind.BINLOG) == ["binary log in away"]
        (tmp_path / "away").mkdir()
        await until(lambda: bool(made().read()[1].current_as_of), "it does not come back")
        await until(lambda: not alarm.raised, "the alert stays")
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    there, away = (
        {file.name for file in (tmp_path / name).iterdir()} for name in ("there", "away")
    )
    assert there == away
    assert sorted(pruned) == ["away", "there"]  # once each, however often they were copied to
    assert made().read()[1].code == ""


async def test_what_was_told_before_and_cannot_be_read_keeps_nothing_from_being_copied(tmp_path):
    """Nobody would see that copying had ended before it began."""
    archive(directory_in(tmp_path), corpus("mysql-9.7")).close()
    (tmp_path / "there").mkdir()
    (tmp_path / "binlog" / copies._FILE).mkdir()

    async def prune(_name: str) -> None:
        return

    task = asyncio.create_task(
        LogCopies(
            LocalDirectory(tmp_path / "binlog"),
            ("there",),
            facts,
            lambda name: LocalStore(tmp_path / name),
            RealClock(),
            RaisedAlerts(),
            prune=prune,
        ).run_forever()
    )
    await until(lambda: any((tmp_path / "there").iterdir()), "nothing is copied")

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
