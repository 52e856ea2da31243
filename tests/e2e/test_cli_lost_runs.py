"""Command line: a run of a state directory that was lost is named by the doctor, and ended by a person."""

import shutil
import sqlite3
from contextlib import closing


def test_a_run_of_a_lost_state_directory_is_named_and_ended(cli, sql, database):
    """The history says who did it and why, and that nobody knows what became of it; once."""
    control = cli.home / "kept" / "control.db"
    settings = {
        "CONTROL_URL": f"sqlite+aiosqlite:///{control}",
        "STATE_DIR": str(cli.home / "state"),
    }
    cli.json("backup", "create", "--database", database, **settings)
    with closing(sqlite3.connect(control)) as history, history:
        (run_id,) = history.execute("SELECT run_id FROM runs").fetchone()
        history.execute("UPDATE runs SET state = 'running', result = NULL, finished_at = NULL")
    own = cli.error("run", "end", run_id, "--reason", "gone", code=11, **settings)
    shutil.rmtree(settings["STATE_DIR"])

    named = cli.json("doctor", **settings)
    ended = cli.json("run", "end", run_id, "--reason", "the disk\n died", **settings)
    again = cli.error("run", "end", run_id, "--reason", "gone", code=11, **settings)

    assert own["message"].endswith("of this installation")
    (found,) = [check for check in named["checks"] if check["name"] == "history"]
    assert found["state"] == "warn"
    assert run_id in found["detail"]
    assert f"backstay run end {run_id}" in found["remedy"]
    assert (ended["run_id"], ended["kind"], ended["error"]["code"]) == (
        run_id,
        "backup",
        "run-lost",
    )
    assert "has ended it in the history: the disk died;" in ended["error"]["message"]
    assert (again["code"], again["message"]) == ("not-cancellable", f"{run_id} has failed")
    assert "history" not in {check["name"] for check in cli.json("doctor", **settings)["checks"]}
    with closing(sqlite3.connect(control)) as history:
        told = history.execute(
            "SELECT result, changes FROM audit WHERE action = 'end_run'"
        ).fetchall()
    assert [result for result, _ in told] == ["conflict", "ok", "not-cancellable"]
    assert "the disk died" in told[1][1]


def test_a_history_that_cannot_be_written_ends_nothing(cli):
    """The command says so, and not that it was done."""
    settings = {"CONTROL_URL": "mysql://u:hunter2@127.0.0.1:1/d"}
    error = cli.error("run", "end", f"run_{1:016x}", "--reason", "gone", code=21, **settings)

    assert error["code"] == "control-unavailable"
    assert "hunter2" not in str(error)
