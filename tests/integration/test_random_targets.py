"""A dry run and a restore agree on any target: what one is refused for, the other foretold."""

import pytest
from hypothesis import HealthCheck, Phase, example, given, note, settings, strategies as st

from app.domain.restores.restore import RestoreRequest
from tests.fixtures.backstay import Backstay
from tests.fixtures.dry_runs import drop, ends_as_foretold
from tests.fixtures.random_targets import SOURCE, STATES, USER, hindered, hindrances, options
from tests.fixtures.series import PATIENT_SECONDS, series
from tests.fixtures.servers import Sql
from tests.oracle.snapshots import assert_same, snapshot


@pytest.fixture
def target(own_server):
    """A server of its own, with an administrator's connection and a user who has every right."""
    server = own_server("--log-bin=log", "--plugin-load-add=ha_archive;ha_blackhole")
    with Sql(server.url) as sql:
        sql.script([
            "SET GLOBAL log_bin_trust_function_creators = ON",
            "CREATE USER author@'%'",
            "GRANT ALL ON *.* TO author@'%'",
            f"CREATE USER {USER}@'%' IDENTIFIED BY '{USER}'",
            f"GRANT ALL ON *.* TO {USER}@'%'",
        ])
        yield server, sql


@pytest.mark.long
@pytest.mark.timeout(PATIENT_SECONDS)
# A drawn target has few hindrances already.
@settings(
    max_examples=series(2, 400),
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    names=hindrances,
    state=st.sampled_from(sorted(STATES)),
    into=st.booleans(),
    asked=options,
)
# What was found: live triggers that stay are hidden from this user.
@example(
    names=["no TRIGGER on *.*"],
    state="as it was",
    into=False,
    asked={
        "tables": ("child",),
        "schema_only": False,
        "data_only": True,
        "skip_binlog": False,
        "create_backup": False,
    },
)
async def test_a_restore_ends_as_its_dry_run_said(names, state, into, asked, target, tmp_path):
    """With the same words where it is refused; what is live is then as it was."""
    server, sql = target
    admin = Backstay(server.url, tmp_path / "backups")
    user = Backstay(server.url.replace("//root", f"//{USER}:{USER}", 1), tmp_path / "backups")
    note(f"{names}, {state}, {asked}")
    try:
        sql.script(["CREATE DATABASE shop CHARACTER SET utf8mb4", "USE shop", *SOURCE])
        manifest = await admin.backup("shop")
        sql.script(statement.format("shop") for statement in STATES[state])
        place = (
            {"into": user.new_name(), "create_backup": False, "data_only": False} if into else {}
        )
        request = RestoreRequest(manifest.backup_id, **{**asked, **place})
        with hindered(sql, names):
            before = snapshot(server.url, "shop") if state != "gone" else None
            forecast = await ends_as_foretold(user, request, server.url)
            if before and (forecast.problems or into):
                assert_same(before, snapshot(server.url, "shop"))
    finally:
        drop(sql, "shop", "outside", "c_")
        await user.close()
        await admin.close()
