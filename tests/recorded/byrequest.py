"""Every route of the service, asked over real HTTP, and refusals of every kind."""

import json
from pathlib import Path
from typing import Any, Final

import httpx

from tests.fixtures.api import Api, finished
from tests.fixtures.api_requests import BACKUP, NO_BACKUP, NO_RUN, RUNS, WAIT, until
from tests.fixtures.cli import wait_until
from tests.fixtures.point_in_time import archive_log
from tests.fixtures.servers import Sql
from tests.recorded.kept_answers import Requests
from tests.recorded.rounds import DATABASE, Round, change_shop, listener, make_shop
from tests.recorded.shapes import shape


ALERTS: Final = "/api/admin/alerts"
AUDIT: Final = "/api/admin/audit"
SCHEDULE: Final = f"{BACKUP}/schedule"
BINLOG: Final = "/api/admin/binlog"
STORES: Final = "/api/admin/stores"
USERS: Final = "/api/admin/users"
_PASSWORD: Final = "correct horse battery"
_NEVER: Final = "0 0 1 1 *"
_SHOP: Final = {"databases": [DATABASE]}
# A run that has just begun, or been asked to stop, may be at any point.
_BEGUN: Final = ("backup_id", "progress", "revision", "started_at", "state")
_STOPPING: Final = (*_BEGUN, "error", "finished_at", "success")


def by_request(url: str, home: Path) -> tuple[Round, Any]:
    """
    Ask for everything once.

    Args:
        url: A server that may be changed, with the rights of root.
        home: An empty directory.

    Returns:
        Statuses, headers and the shapes of bodies, by operation; and the API's own document.
    """
    made = Round()
    api = Api(url, home)
    document: Any = None
    try:
        with made.to_the_end(), listener() as messages:
            make_shop(url)
            store = home / "store"
            store.mkdir()
            settings = {
                "ALERT_URLS": messages,
                "ADMIN_PASSWORD": _PASSWORD,
                "STORES": f"disk=local://{store}",
            }
            api.start("--json", CHECK_CRON=_NEVER, DISK_FLOOR_BYTES="0", **settings)
            asked = Requests(made, api)
            document = asked.admin.get("/openapi.json").json()
            _ask(asked, url)
            _stop(made, api)
    finally:
        api.close()
    return made, document


def _ask(asked: Requests, url: str) -> None:
    _health(asked)
    _logins(asked)
    _refusals(asked)
    backup_id = _backups(asked)
    _restores(asked, url, backup_id)
    _recoveries(asked, url)
    _schedules(asked)
    _runs(asked, url)
    _files(asked, backup_id)
    _people(asked)
    asked("get_binlog_status", asked.admin.get(f"{BINLOG}/status"))
    asked("list_binlog_transactions", asked.admin.get(f"{BINLOG}/transactions"))
    limit = {"limit": 0}
    asked("list_binlog_transactions, none", asked.admin.get(f"{BINLOG}/transactions", params=limit))
    asked("list_stores", asked.admin.get(STORES))
    asked("test_store", asked.admin.post(f"{STORES}/disk/test"))
    asked("test_store, no such store", asked.admin.post(f"{STORES}/nothing/test"))
    asked("send_test_alert", asked.admin.post(f"{ALERTS}/test"))
    wait_until(lambda: _are_told(asked.admin), "everybody is told")
    asked("list_alerts", asked.admin.get(ALERTS))
    wait_until(lambda: _is_seen(asked.admin, 1), "the copy is seen")
    asked("get_status", asked.admin.get(f"{BACKUP}/status"))
    asked("list_audit", asked.admin.get(AUDIT, params={"limit": 500}))
    asked("verify_audit", asked.admin.get(f"{AUDIT}/verify"))


def _are_told(client: httpx.Client) -> bool:
    alerts = client.get(ALERTS).json()["alerts"]
    return all(attempt["at"] for alert in alerts for attempt in alert["deliveries"])


def _is_seen(client: httpx.Client, count: int) -> bool:
    """Tell whether the last look at the store has found so many backups."""
    _, store = client.get(f"{BACKUP}/status").json()["copies"]["places"]
    return store["looked_at"] is not None and store["backups_count"] == count


def _stop(made: Round, api: Api) -> None:
    """End the service, which prints its document then."""
    code = api.stop()
    said = api.log[api.log.rindex("{\n") :]
    made.add("serve --json, stopped", {"exit": code, "document": shape(json.loads(said))})


def _health(asked: Requests) -> None:
    asked.usual_headers()
    asked("is_alive", asked.nobody.get("/healthz"))
    asked("is_alive, without a body", asked.nobody.head("/healthz"))
    asked("is_ready", asked.nobody.get("/readyz"))
    asked("is_ready, without a body", asked.nobody.head("/readyz"))
    asked("page for people", asked.nobody.get("/docs"))
    asked("document of the API", asked.nobody.head("/openapi.json"))


def _logins(asked: Requests) -> None:
    def log_in(name: str = "admin", password: str = _PASSWORD) -> httpx.Response:
        data = {"username": name, "password": password}
        return asked.nobody.post("/api/auth/token", data=data)

    def bearer(grant: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {grant['access_token']}"}

    first = asked("log_in", log_in())
    asked("who_am_i", asked.nobody.get("/api/auth/me", headers=bearer(first)))
    spent = {"refresh_token": first["refresh_token"]}
    second = asked("refresh", asked.nobody.post("/api/auth/refresh", json=spent))
    asked("log_out", asked.nobody.post("/api/auth/logout", headers=bearer(second)))
    asked("refresh, spent", asked.nobody.post("/api/auth/refresh", json=spent))
    asked("who_am_i, after the login", asked.nobody.get("/api/auth/me", headers=bearer(second)))
    asked("log_in, no form", asked.nobody.post("/api/auth/token"))
    asked("log_in, unknown", log_in("nobody"))
    for _ in range(4):
        log_in("nobody")
    asked("log_in, too often", log_in("nobody"))


def _refusals(asked: Requests) -> None:
    create = f"{BACKUP}/create"
    json_ = {"Content-Type": "application/json"}
    asked("list_backups, no token", asked.nobody.get(f"{BACKUP}/list"))
    bad = {"Authorization": "Bearer nothing"}
    asked("list_backups, no good token", asked.nobody.get(f"{BACKUP}/list", headers=bad))
    asked("list_backups, no such order", asked.admin.get(f"{BACKUP}/list?sort=name&limit=0"))
    asked("create_backup, viewer", asked.viewer.post(create))
    asked("create_backup, unknown field", asked.admin.post(create, json={"database": "x"}))
    asked("create_backup, no JSON", asked.admin.post(create, content=b"{", headers=json_))
    asked(
        "create_backup, too large", asked.admin.post(create, content=b" " * 300_000, headers=json_)
    )
    asked("create_backup, bad key", asked.admin.post(create, headers={"Idempotency-Key": "a b"}))
    asked("create_backup, wrong method", asked.admin.get(create))
    asked("no such path", asked.admin.get("/api/admin/nothing"))


def _backups(asked: Requests) -> str:
    """Make backups and look at them; returns the id of one."""
    admin = asked.admin
    asked("list_backups, none", admin.get(f"{BACKUP}/list"))
    begun = asked("create_backup", admin.post(f"{BACKUP}/create", json=_SHOP), _BEGUN)
    finished(admin, begun["run_id"])
    keyed = {**WAIT, "Idempotency-Key": "once"}
    waited = admin.post(f"{BACKUP}/create", json=_SHOP, headers=keyed)
    backup_id = str(asked("create_backup, waited for", waited)["backup_id"])
    again = admin.post(f"{BACKUP}/create", json=_SHOP, headers=keyed)
    asked("create_backup, same key", again)
    asked("create_backup, key reused", admin.post(f"{BACKUP}/create", headers=keyed))
    unknown = admin.post(f"{BACKUP}/create", json={"databases": ["nothing"]}, headers=WAIT)
    asked("create_backup, no such database", unknown)
    point = admin.post(f"{BACKUP}/recovery-point", json=_SHOP, headers=WAIT)
    asked("create_recovery_point", point)
    asked("get_backup, new", admin.get(f"{BACKUP}/info/{backup_id}"))
    asked("get_recovery_options, new", admin.get(f"{BACKUP}/recovery-options/{backup_id}"))
    asked("verify_backup", admin.post(f"{BACKUP}/verify/{backup_id}", headers=WAIT))
    level = {"level": "size"}
    asked(
        "verify_backup, size", admin.post(f"{BACKUP}/verify/{backup_id}", json=level, headers=WAIT)
    )
    asked("pin_backup", admin.post(f"{BACKUP}/pin/{backup_id}", json={"reason": "why not"}))
    asked("delete_backup, pinned", admin.delete(f"{BACKUP}/delete/{backup_id}"))
    asked("get_backup, pinned", admin.get(f"{BACKUP}/info/{backup_id}"))
    asked("get_backup, no such backup", admin.get(f"{BACKUP}/info/{NO_BACKUP}"))
    asked("list_backups", admin.get(f"{BACKUP}/list", params={"database": DATABASE}))
    tables = {"database": DATABASE, "table": "*", "exclude_table": "no*"}
    asked("list_tables", admin.get(f"{BACKUP}/tables", params=tables))
    asked("unpin_backup", admin.delete(f"{BACKUP}/pin/{backup_id}"))
    return backup_id


def _restores(asked: Requests, url: str, backup_id: str) -> None:
    change_shop(url)
    admin = asked.admin
    test, restore = f"{BACKUP}/test-restore/{backup_id}", f"{BACKUP}/restore/{backup_id}"
    into = {"into": f"{DATABASE}_new"}
    asked("rehearse_restore", admin.post(test, headers=WAIT))
    asked("rehearse_restore, drill", admin.post(test, json={"drill": True}, headers=WAIT))
    asked("restore_backup, into", admin.post(restore, json=into, headers=WAIT))
    asked("restore_backup, not empty", admin.post(restore, json=into, headers=WAIT))
    asked("rehearse_restore, not empty", admin.post(test, json=into, headers=WAIT))
    done = asked("restore_backup", admin.post(restore, headers=WAIT))
    asked("get_recovery_options", admin.get(f"{BACKUP}/recovery-options/{backup_id}"))
    asked("undo_restore", admin.post(f"{BACKUP}/undo/{done['restore_id']}", headers=WAIT))
    asked("undo_restore, no such restore", admin.post(f"{BACKUP}/undo/restore_0", headers=WAIT))
    asked(
        "restore_backup, no such backup", admin.post(f"{BACKUP}/restore/{NO_BACKUP}", headers=WAIT)
    )
    clash = {"schema_only": True, "data_only": True}
    asked("restore_backup, senseless", admin.post(restore, json=clash, headers=WAIT))


def _recoveries(asked: Requests, url: str) -> None:
    admin = asked.admin
    place = "/api/admin/recoveries"
    with Sql(url) as sql:
        sql.run("FLUSH BINARY LOGS")
        first = str(sql.run("SHOW BINARY LOGS")[-1][0])
        made = asked.admin.post(f"{BACKUP}/create", json=_SHOP, headers=WAIT).json()
        archive_log(sql, asked.backups, first=first)
    position = admin.get(f"{BACKUP}/info/{made['backup_id']}").json()["position"]
    point = {"to_position": f"{position['binlog_file']}:{position['binlog_position']}"}
    asked("start_recovery", admin.post(place, json=point, headers=WAIT))
    asked(
        "start_recovery, dry run", admin.post(place, json={**point, "dry_run": True}, headers=WAIT)
    )
    asked("start_recovery, no point", admin.post(place, json={}))


def _schedules(asked: Requests) -> None:
    admin, run = asked.admin, f"{BACKUP}/run-scheduled"
    body = {"frequency": "daily", "options": _SHOP, "retention": {"daily": 7}}
    asked("get_schedule, none", admin.get(SCHEDULE))
    asked("set_schedule", admin.post(SCHEDULE, json=body))
    asked("set_schedule, no due times", admin.post(SCHEDULE, json={"cron": "0 0 30 2 *"}))
    asked("set_schedule, both", admin.post(SCHEDULE, json={**body, "cron": _NEVER}))
    asked("run_scheduled", admin.post(run, json={"force": True}, headers=WAIT))
    asked("run_scheduled, not due", admin.post(run))
    asked("run_scheduled, no such schedule", admin.post(run, json={"name": "nothing"}))
    others = {"name": "others", "cron": _NEVER, "enabled": False, "external": True}
    asked("set_schedule, of others", admin.post(SCHEDULE, json=others))
    synthetic = {"name": "synthetic", "kind": "synthetic", "cron": _NEVER, "enabled": False}
    asked("set_schedule, synthetic", admin.post(SCHEDULE, json=synthetic))
    wanted = {**synthetic, "options": {"tables": ["t"]}}
    asked("set_schedule, synthetic of tables", admin.post(SCHEDULE, json=wanted))
    asked("get_schedule", admin.get(SCHEDULE))
    wait_until(lambda: _is_seen(asked.admin, 0), "the store is looked at")
    asked.metrics()
    asked("delete_schedule", admin.delete(f"{SCHEDULE}/default"))
    asked("delete_schedule, not there", admin.delete(f"{SCHEDULE}/default"))


def _runs(asked: Requests, url: str) -> None:
    """Look at runs, and stop one that waits for a table."""
    admin = asked.admin
    with Sql(url, DATABASE) as other:
        other.run("LOCK TABLES customer WRITE")
        run_id = admin.post(f"{BACKUP}/create", json=_SHOP).json()["run_id"]
        until(admin, run_id, "snapshot")
        asked("create_backup, in the way", admin.post(f"{BACKUP}/create", json=_SHOP))
        asked("cancel_run", admin.post(f"{RUNS}/{run_id}/cancel"), _STOPPING)
        finished(admin, run_id)
    asked("get_run, cancelled", admin.get(f"{RUNS}/{run_id}"))
    asked("cancel_run, over", admin.post(f"{RUNS}/{run_id}/cancel"))
    asked("get_run, no such run", admin.get(f"{RUNS}/{NO_RUN}"))
    asked.stream("watch_run", admin.get(f"{RUNS}/{run_id}/events"))
    asked("list_runs", admin.get(RUNS, params={"limit": 500}))
    some = "state=failed&state=cancelled&kind=backup&sort=created_at&limit=1"
    asked("list_runs, some", admin.get(f"{RUNS}?{some}"))


def _files(asked: Requests, backup_id: str) -> None:
    admin, file = asked.admin, f"{BACKUP}/download/{backup_id}"
    prune = f"{BACKUP}/prune"
    asked("download_backup", admin.get(file))
    asked("download_backup, part", admin.get(file, headers={"Range": "bytes=0-9"}))
    asked("download_backup, outside", admin.get(file, headers={"Range": "bytes=999999999-"}))
    asked("download_backup, senseless", admin.get(file, headers={"Range": "letters=a-z"}))
    copied = admin.post(f"{BACKUP}/copy/{backup_id}", json={"to": "disk"}, headers=WAIT)
    asked("copy_backup", copied)
    asked("prune_backups", admin.post(prune))
    asked("prune_backups, really", admin.post(prune, json={"dry_run": False}, headers=WAIT))
    asked("delete_backup", admin.delete(f"{BACKUP}/delete/{backup_id}"))
    asked("delete_backup, not there", admin.delete(f"{BACKUP}/delete/{backup_id}"))


def _people(asked: Requests) -> None:
    admin = asked.admin
    ann = {"name": "ann", "password": _PASSWORD, "role": "operator"}
    asked("create_user", admin.post(USERS, json=ann))
    asked("create_user, there already", admin.post(USERS, json=ann))
    asked("create_user, short password", admin.post(USERS, json={**ann, "password": "short"}))
    asked("change_user", admin.patch(f"{USERS}/ann", json={"disabled": True}))
    asked("change_user, last admin", admin.patch(f"{USERS}/admin", json={"role": "viewer"}))
    asked("get_user", admin.get(f"{USERS}/ann"))
    asked("get_user, not there", admin.get(f"{USERS}/nobody"))
    asked("list_users", admin.get(USERS))
