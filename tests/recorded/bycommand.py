"""Every command that can print a document, called as people call it, and some that fail."""

import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from tests.fixtures.cli import PROGRAM, SECONDS, Cli, wait_until
from tests.fixtures.point_in_time import archive_log
from tests.fixtures.servers import Sql
from tests.recorded.rounds import DATABASE, Round, change_shop, listener, make_shop
from tests.recorded.shapes import shape


_PASSWORD: Final = "correct horse battery\n"
_NO_BACKUP: Final = "backup_65ba1f2f3d4e5"
_NOWHERE: Final = "mysql://nobody:secret@127.0.0.1:1/"


def by_command(url: str, home: Path) -> Round:
    """
    Call everything once.

    Args:
        url: A server that may be changed, with the rights of root.
        home: An empty directory.

    Returns:
        Exit codes and the shapes of documents, by what was called.
    """
    made = Round()
    with made.to_the_end(), listener() as messages:
        calls = _Calls(made, Cli(url, home))
        make_shop(url)
        first = _backups(calls)
        _restores(calls, first)
        _recoveries(calls)
        _schedules(calls)
        _people(calls)
        _lost_runs(calls)
        _alerts(calls, messages)
        _keys(calls)
        _stores(calls)
        _binlog(calls)
        _damage(calls)
        _failures(calls)
        calls("demo", "demo", DATABASE_URL="")
    return made


class _Calls:
    """Calls commands with --json and keeps what they say."""

    def __init__(self, made: Round, cli: Cli) -> None:
        self._made = made
        self.cli = cli

    def __call__(self, name: str, *arguments: str, **settings: str) -> dict[str, Any]:
        """Call a command, keep its answer under a name, and return its document."""
        result = self.cli(*arguments, "--json", **settings)
        return self.keep(name, result.code, result.out)

    def typing(self, name: str, *arguments: str) -> dict[str, Any]:
        """Call a command that reads a password."""
        done = subprocess.run(
            [PROGRAM, *arguments, "--json"],
            input=_PASSWORD,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            cwd=self.cli.home,
            env={"PATH": self.cli.path, "HOME": str(self.cli.home)},
        )
        return self.keep(name, done.returncode, done.stdout)

    def keep(self, name: str, code: int, out: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(out)
        self._made.add(name, {"exit": code, "document": shape(document)})
        return document


def _backups(calls: _Calls) -> str:
    """Make backups and look at them; returns the id of one that is whole."""
    calls("backup list, no directory", "backup", "list")
    made = calls(
        "backup create", "backup", "create", "--database", DATABASE, "--accounts", "--level", "1"
    )
    backup_id = str(made["backup_id"])
    calls("backup info, new", "backup", "info", backup_id)
    calls("restore options, new", "restore", "options", backup_id)
    calls("backup verify", "backup", "verify", backup_id)
    calls("backup pin", "backup", "pin", backup_id, "--reason", "why not")
    calls("backup delete, pinned", "backup", "delete", backup_id)
    calls("backup check", "backup", "check", "--all-due")
    calls("backup check, nothing due", "backup", "check")
    calls("recovery-point create", "recovery-point", "create", "--database", DATABASE)
    calls("backup info, checked and pinned", "backup", "info", backup_id)
    calls("backup list", "backup", "list")
    calls("backup tables", "backup", "tables", "--database", DATABASE, "--exclude-table", "no*")
    calls("backup unpin", "backup", "unpin", backup_id)
    other = calls("backup create, plain", "backup", "create", "--codec", "none", "--no-verify")
    calls("backup delete", "backup", "delete", str(other["backup_id"]))
    return backup_id


def _restores(calls: _Calls, backup_id: str) -> None:
    change_shop(calls.cli.url)
    run = ("restore", "run", backup_id)
    calls("restore run --dry-run", *run, "--dry-run")
    calls("restore run --drill", *run, "--drill")
    calls("restore run --into", *run, "--into", f"{DATABASE}_new")
    calls("restore run --into --dry-run, not empty", *run, "--into", f"{DATABASE}_new", "--dry-run")
    restored = calls("restore run", *run)
    calls("restore options, restored", "restore", "options", backup_id)
    calls("restore undo", "restore", "undo", str(restored["restore_id"]))
    calls("restore run, no such backup", "restore", "run", _NO_BACKUP)
    calls("restore run, no such table", *run, "--table", "nothing*")


def _recoveries(calls: _Calls) -> None:
    """Recover to before and behind a transaction, and drill."""
    calls("recover, no archive", "recover", "--to-time", "2024-01-31T14:30:15Z")
    calls("recover, no point", "recover")
    with Sql(calls.cli.url) as sql:
        sql.run("FLUSH BINARY LOGS")
        first = str(sql.run("SHOW BINARY LOGS")[-1][0])
        make = ("backup", "create", "--database", DATABASE)
        calls.cli.json(*make)
        sql.run(f"CREATE TABLE {DATABASE}.later (id INT PRIMARY KEY)")
        sql.run(f"DROP TABLE {DATABASE}.later")
        position = calls.cli.json(*make)["backup_id"]
        position = calls.cli.json("backup", "info", position)["position"]
        archive_log(sql, calls.cli.backups, first=first)
    point = ("--to-position", f"{position['binlog_file']}:{position['binlog_position']}")
    calls("recover --dry-run", "recover", *point, "--dry-run")
    calls("recover --drill", "recover", "--drill", "latest")
    calls("recover", "recover", *point)
    calls("recover, not archived", "recover", "--to-position", f"{position['binlog_file']}:1")


def _damage(calls: _Calls) -> None:
    """Lose one manifest and damage one file."""
    make = ("backup", "create", "--database", DATABASE)
    lost, torn = (calls.cli.json(*make) for _ in range(2))
    backups = calls.cli.backups
    (backups / f"{lost['file']}.manifest.json").unlink()
    manifest = backups / f"{torn['file']}.manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-2])
    calls("backup list, damaged", "backup", "list")
    calls("doctor, damaged", "doctor")
    calls("catalog rebuild", "catalog", "rebuild")
    file = backups / torn["file"]
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    manifest.write_bytes(whole)
    calls("backup verify, torn", "backup", "verify", str(torn["backup_id"]))
    calls("backup check, torn", "backup", "check", "--all-due", CHECK_SIZES_DAYS="0.0000001")
    manifest.unlink()
    calls("catalog rebuild, torn", "catalog", "rebuild")
    file.unlink()
    calls("doctor --repair", "doctor", "--repair")


def _schedules(calls: _Calls) -> None:
    calls("schedule show, none", "schedule", "show")
    frequency = ("--frequency", "daily")
    calls("schedule set", "schedule", "set", *frequency, "--database", DATABASE)
    calls(
        "schedule set, all options", "schedule", "set", "all", "--cron", "30 2 1 1 *",
        "--timezone", "Europe/Berlin", "--disabled", "--external", "--table", "*",
        "--exclude-table", "nothing", "--no-data", "--description", "words", "--no-verify",
        "--level", "3",
        "--keep", "daily=7", "--keep", "max_days=30.5",
    )  # fmt: skip
    synthetic = ("schedule", "set", "synthetic", "--kind", "synthetic", "--disabled", *frequency)
    calls("schedule set, synthetic", *synthetic)
    calls("schedule set, synthetic of tables", *synthetic, "--table", "t")
    calls("schedule set, nowhere", "schedule", "set", *frequency, "--store", "nowhere")
    calls("cron, due", "cron")
    calls("cron, not due", "cron")
    rules = {"MAX_BACKUPS": "1", "RECOVERY_POINT_DAYS": "0"}
    calls("backup prune --dry-run", "backup", "prune", "--dry-run", **rules)
    calls("backup prune", "backup", "prune", **rules)
    calls("schedule show", "schedule", "show")
    calls("schedule disable", "schedule", "disable", "default")
    calls("schedule enable", "schedule", "enable", "default")
    calls("schedule delete", "schedule", "delete", "default")
    calls("schedule delete, not there", "schedule", "delete", "default")
    calls("schedule set, no due times", "schedule", "set", "--cron", "0 0 30 2 *")
    calls("schedule set, no such rule", "schedule", "set", *frequency, "--keep", "decades=1")


def _people(calls: _Calls) -> None:
    calls("user list, none", "user", "list")
    calls.typing("user create", "user", "create", "ann")
    create = ("user", "create", "bob", "--role", "operator", "--password-stdin")
    calls.typing("user create --role", *create)
    calls.typing("user password", "user", "password", "bob")
    calls("user create, no password", "user", "create", "cy")
    calls("user role", "user", "role", "bob", "viewer")
    calls("user disable", "user", "disable", "bob")
    calls("user list", "user", "list")
    calls("user enable", "user", "enable", "bob")
    calls("user disable, last admin", "user", "disable", "ann")
    calls("audit verify", "audit", "verify")
    calls("audit accept", "audit", "accept", "--reason", "a key was lost")


def _lost_runs(calls: _Calls) -> None:
    """End a run as if its installation were gone."""
    (file,) = calls.cli.home.rglob("control.db")
    with closing(sqlite3.connect(file)) as history, history:
        first = "SELECT run_id FROM runs WHERE kind = 'backup' ORDER BY rowid LIMIT 1"
        (run_id,) = history.execute(first).fetchone()
        change = "UPDATE runs SET owner = 'another', state = 'running' WHERE run_id = ?"
        history.execute(change, (run_id,))
    calls("run end", "run", "end", run_id, "--reason", "its disk is gone")
    calls("run end, over", "run", "end", run_id, "--reason", "its disk is gone")


def _alerts(calls: _Calls, messages: str) -> None:
    calls("alert test, nobody", "alert", "test")
    calls("alert list, none", "alert", "list")
    calls("alert test", "alert", "test", ALERT_URLS=messages)
    calls("alert test, refused", "alert", "test", ALERT_URLS=f"{messages}/refused")
    calls("alert list", "alert", "list", "--limit", "9")


def _keys(calls: _Calls) -> None:
    calls("key show, none", "key", "show")
    made = calls("key new", "key", "new")
    keys = {"ENCRYPT_TO": str(made["recipient"]), "IDENTITY": str(made["identity"]).split()[-1]}
    calls("key new --out", "key", "new", "--out", "key")
    calls("key new --out, there", "key", "new", "--out", "key")
    calls("key check", "key", "check", IDENTITY_FILE="key", **keys)
    calls("key check, no identity", "key", "check", ENCRYPT_TO=keys["ENCRYPT_TO"])
    calls("key check, no recipient", "key", "check")
    calls("key show --sheet --secret", "key", "show", "--sheet", "--secret", **keys)
    calls("key show", "key", "show", **keys)
    made = calls("backup create, encrypted", "backup", "create", **keys)
    calls("backup verify --stored", "backup", "verify", "latest", "--stored")
    calls("backup verify, encrypted for others", "backup", "verify", "latest")
    (calls.cli.home / "wrapped").mkdir()
    address = {"STORES": f"wrapped=local://{calls.cli.home}/wrapped"}
    calls("backup rewrap", "backup", "rewrap", "latest", "--to", "wrapped", **keys, **address)
    calls("backup delete, encrypted", "backup", "delete", str(made["backup_id"]))


def _binlog(calls: _Calls) -> None:
    calls("binlog status, no archive", "binlog", "status")
    calls("binlog fetch, no such store", "binlog", "fetch", "nowhere")
    calls("cron, synthetic", "cron", "--name", "synthetic", "--force")
    with calls.cli.start("binlog", "run", "--json") as archiver:
        try:
            wait_until(lambda: _is_live(calls.cli), "the log is archived")
            with Sql(calls.cli.url) as sql:
                sql.script(["CREATE DATABASE logged", "DROP DATABASE logged"])
            wait_until(lambda: _has_transactions(calls.cli), "a change is archived")
            calls("binlog run, another one runs", "binlog", "run")
            calls("binlog status", "binlog", "status")
            calls("binlog transactions", "binlog", "transactions", "--limit", "1")
            calls("binlog transactions, no time", "binlog", "transactions", "--from", "yesterday")
        finally:
            archiver.terminate()
            out, _ = archiver.communicate(timeout=SECONDS)
    calls.keep("binlog run, stopped", archiver.returncode, out)
    (calls.cli.home / "logs").mkdir()
    address = {"STORES": f"logs=local://{calls.cli.home}/logs"}
    calls("binlog fetch", "binlog", "fetch", "logs", **address)
    calls("binlog status, never copied", "binlog", "status", BINLOG_STORES="logs", **address)


def _is_live(cli: Cli) -> bool:
    return bool(cli.json("binlog", "status")["state"] == "live")


def _has_transactions(cli: Cli) -> bool:
    return bool(cli.json("binlog", "transactions")["transactions"])


def _stores(calls: _Calls) -> None:
    calls("store list, none", "store", "list")
    path = calls.cli.home / "store"
    address = {"STORES": f"disk=local://{path}"}
    calls("store list", "store", "list", **address)
    calls("store test, no directory", "store", "test", "disk", **address)
    path.mkdir()
    calls("store test", "store", "test", "disk", **address)
    calls("backup copy", "backup", "copy", "latest", "--to", "disk", **address)
    calls("backup rewrap, not encrypted", "backup", "rewrap", "latest", "--to", "disk", **address)
    calls("backup list, of a store", "backup", "list", "--store", "disk", **address)
    kept = {"STORES": f"{address['STORES']}?retention=count=1"}
    calls(
        "backup prune --dry-run, of a store",
        "backup",
        "prune",
        "--dry-run",
        "--store",
        "disk",
        **kept,
    )
    calls("backup prune, of a store", "backup", "prune", "--store", "disk", **kept)
    calls("store list, with rules", "store", "list", **kept)
    calls("store test, no such store", "store", "test", "nothing")
    calls("store list, no such kind", "store", "list", STORES="disk=ftp://nowhere")


def _failures(calls: _Calls) -> None:
    """Fail in every family, at least once."""
    create = ("backup", "create")
    calls("backup info, no id", "backup", "info", "../etc")
    calls("backup create, no such database", *create, "--database", "nothing")
    calls("backup create, no server", *create, DATABASE_URL=_NOWHERE)
    calls("backup create, no such option", *create, "--nothing")
    calls("backup create, too many threads", *create, "--threads", "65")
    calls("backup create, setting out of bounds", *create, THREADS="0")
    file = calls.cli.home / "file"
    file.touch()
    calls("backup create, no directory", *create, BACKUP_DIR=str(file / "below"))
    calls("restore undo, no such restore", "restore", "undo", "restore_65ba1f2f3d4e5")
    calls("user list, no control database", "user", "list", CONTROL_URL=f"sqlite:///{file}/c.db")
    calls("doctor, no server", "doctor", DATABASE_URL=_NOWHERE)
    calls("serve, no certificate", "serve", "--port", "0", "--tls-key", "nothing.pem")
    calls("no such command", "nothing")
