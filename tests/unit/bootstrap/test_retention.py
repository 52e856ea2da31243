"""Retention of the backup directory, as the program puts it together."""

from app.bootstrap.program import Program
from app.config import Settings
from tests.fixtures.logged_installation import LoggedInstallation


async def test_a_log_that_is_archived_after_the_start_is_kept_and_pruned(tmp_path):
    """What looks after it is not there before it is, and is not forgotten afterwards."""
    settings = Settings(
        backup_dir=tmp_path / "backups", state_dir=tmp_path / "state", max_backups=1
    )
    program = Program(settings)
    try:
        settings.backup_dir.mkdir(mode=0o700)
        assert (await program.retention.plan()).log == ()

        made = LoggedInstallation(tmp_path, max_backups=1)
        for day in range(3):
            await made.back_up(day)
            made.store.passes(days=1)
        plan, expected = await program.retention.plan(), await made.store.retention.plan()
    finally:
        await program.close()

    assert plan.log == expected.log != ()
