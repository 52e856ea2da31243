"""What monitoring sees of a service: its numbers, and the dashboard and rules that ask for them."""

import json
import re
import sqlite3
import time
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.archive.catalogue.catalogue import Catalogue
from app.domain.restores.proofs import RECOVERY_DRILL, Proof
from app.scheduling.clock import SystemClock
from tests.fixtures.api import Api, finished
from tests.fixtures.api_requests import BACKUP, WAIT, done, problem
from tests.fixtures.cli import SECONDS
from tests.fixtures.pages import DOCS, rows
from tests.fixtures.promql import OF_THE_SCRAPE, groupings, is_balanced, rules, selectors
from tests.fixtures.servers import Sql


NOWHERE = "mysql://root@127.0.0.1:1/"
TOKEN = "a-token-of-the-scraper"
DATABASE = "monitored"
SCHEDULE = "nightly"
STORE = "disk"


def numbers_of(text):
    """Return every sample by its name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Scrape:
    """One answer of /metrics."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.numbers: dict[tuple[str, tuple[tuple[str, str], ...]], float] = numbers_of(text)

    def __call__(self, name: str, **labels: str) -> float | None:
        """Return one sample, None when it is not there."""
        return self.numbers.get((f"backstay_{name}", tuple(sorted(labels.items()))))


def scrape(api):
    """Ask as Prometheus does."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = api.client(None).get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text)


@dataclass(frozen=True)
class Monitored:
    """A service that has made a backup, restored and drilled it, and was started again."""

    api: Api
    before: Scrape
    after: Scrape
    restarted: Scrape
    run: dict[str, Any]
    began: float
    ended: float


@pytest.fixture(scope="module")
def monitored(server, tmp_path_factory):
    """One service for all that is looked at here, with what it answered at three moments."""
    api = Api(f"{server.url.rstrip('/')}/{DATABASE}", tmp_path_factory.mktemp("monitored"))
    with Sql(server.url) as sql:
        sql.script([
            f"CREATE DATABASE {DATABASE}",
            f"USE {DATABASE}",
            "CREATE TABLE t AS SELECT seq FROM seq_1_to_500",
        ])
        try:
            # Tables that are kept for an undo would be somebody else's surprise.
            store = api.home / "store"
            store.mkdir()
            stores = {
                "STORES": f"{STORE}=local://{store}",
                "BINLOG": "true",
                "BINLOG_STORES": STORE,
            }
            api.start(METRICS_TOKEN=TOKEN, UNDO_MINUTES="0", **stores)
            before, began = scrape(api), time.time() // 1
            run = _work(api, store)
            after = _once(
                api,
                lambda numbers: (
                    numbers("runs_total", kind="drill", result="succeeded") == 1
                    and numbers("store_last_proven_restore_timestamp_seconds", store=STORE)
                    and numbers("binlog_window_oldest_timestamp_seconds")
                    and numbers("binlog_copied_timestamp_seconds", store=STORE)
                ),
            )
            ended = time.time()
            api.stop()
            restarted = scrape(api.start(**stores))
            yield Monitored(api, before, after, restarted, run, began, ended)
        finally:
            api.close()
            sql.run(f"DROP DATABASE {DATABASE}")


def _work(api, store):
    """Make a scheduled backup with a copy, one that fails, a restore and a drill; returns the run of the first."""
    admin = api.client()
    schedule = {"name": SCHEDULE, "frequency": "daily"}
    assert admin.post(f"{BACKUP}/schedule", json=schedule).status_code == 200
    force = {"name": SCHEDULE, "force": True}
    run = done(admin.post(f"{BACKUP}/run-scheduled", json=force, headers=WAIT))
    failing = admin.post(f"{BACKUP}/create", json={"databases": ["is-not-there"]})
    assert finished(admin, failing.json()["run_id"])["state"] == "failed"
    copy = f"{BACKUP}/copy/{run['backup_id']}"
    done(admin.post(copy, json={"to": STORE}, headers=WAIT))
    proof = Proof(SystemClock().now(), "drill", True, 1, "MariaDB", 1, 500, 1, True)
    Catalogue(store).add_proof(run["backup_id"], proof)
    recovery = replace(proof, by=RECOVERY_DRILL, whole=False)
    Catalogue(api.backups).add_proof(run["backup_id"], recovery)
    done(admin.post(copy, json={"to": STORE}, headers=WAIT))  # and it is looked at again
    path = f"{BACKUP}/restore/{run['backup_id']}"
    done(admin.post(path, json={"create_backup": False}, headers=WAIT))
    path = f"{BACKUP}/test-restore/{run['backup_id']}"
    done(admin.post(path, json={"drill": True}, headers=WAIT))
    return run


def _once(api, is_there):
    """Scrape until the numbers are those of now."""
    deadline = time.monotonic() + SECONDS
    while not is_there(found := scrape(api)):
        assert time.monotonic() < deadline, found.text
        time.sleep(0.2)
    return found


# -- numbers ---------------------------------------------------------------------------------------


def test_a_new_service_has_numbers(monitored):
    """Zeros where nothing has happened, so that growth is seen; nothing where nothing is known."""
    found = monitored.before

    assert found("runs_total", kind="backup", result="failed") == 0
    assert found("runs_in_progress", kind="restore") == 0
    assert found("catalogue_backups") == 0
    assert found("source_up", source="history") == 1
    assert (found("disk_free_bytes") or 0) > 0
    assert found("last_proven_restore_timestamp_seconds") is None
    assert "backstay_last_backup_rows{" not in found.text


def test_a_copy_is_in_the_numbers_and_in_the_status(monitored):
    """As of the last look at its store; two disks are no 3-2-1, and it is said what is missing."""
    found = monitored.after
    assert [found("copies"), found("copies_offsite"), found("store_up", store=STORE)] == [3, 0, 1]
    assert found("store_stored_bytes", store=STORE) == monitored.run["result"]["size"]
    copies = monitored.api.client("viewer").get(f"{BACKUP}/status").json()["copies"]
    assert [place["store"] for place in copies["places"]] == [None, STORE]
    assert (copies["met"], copies["missing"][-1]) == (False, "a copy off-site")


def test_a_backup_is_in_the_numbers(monitored):
    """By kind and result, by schedule, and as bytes, rows and seconds."""
    found, result = monitored.after, monitored.run["result"]
    of_schedule = {"schedule": SCHEDULE}

    assert found("runs_total", kind="backup", result="succeeded") == 1
    assert found("runs_total", kind="backup", result="failed") == 1
    assert found("run_duration_seconds_count", kind="backup", result="succeeded") == 1
    took = found("run_duration_seconds_sum", kind="backup", result="succeeded")
    assert took >= result["duration"] > 0
    assert found("last_backup_rows", **of_schedule) == 500
    assert found("last_backup_raw_bytes", **of_schedule) == result["raw_size"]
    assert found("last_backup_stored_bytes", **of_schedule) == result["size"]
    assert found("last_backup_duration_seconds", **of_schedule) == result["duration"]
    rate = found("last_backup_bytes_per_second", **of_schedule)
    assert rate == pytest.approx(result["raw_size"] / result["duration"])
    assert (found("catalogue_backups"), found("catalogue_damaged")) == (1, 0)
    assert found("catalogue_stored_bytes") == result["size"]


def test_a_schedule_is_in_the_numbers(monitored):
    """When it last succeeded, when it is next due, and that it is not late."""
    found, began, ended = monitored.after, monitored.began, monitored.ended
    of_schedule = {"schedule": SCHEDULE}

    success = found("schedule_last_success_timestamp_seconds", **of_schedule)
    assert began <= success <= ended
    age = found("schedule_last_success_age_seconds", **of_schedule)
    assert 0 <= age <= ended - success
    assert ended < found("schedule_next_due_timestamp_seconds", **of_schedule) <= began + 86_400
    assert found("schedule_last_run_success", **of_schedule) == 1
    assert found("schedule_overdue", **of_schedule) == 0
    assert found("schedule_missed_total", **of_schedule) == 0
    assert found("schedule_enabled", **of_schedule) == 1


def test_restores_and_proofs_are_in_the_numbers(monitored):
    """Of the last restore that succeeded, and of the last whole backup that was proven."""
    found, began, ended = monitored.after, monitored.began, monitored.ended

    assert found("runs_total", kind="restore", result="succeeded") == 1
    assert found("last_restore_rows") == 500
    raw, stored = found("last_restore_raw_bytes") or 0, found("last_restore_stored_bytes") or 0
    assert 0 < raw < monitored.run["result"]["raw_size"]
    assert 0 < stored < monitored.run["result"]["size"]
    rate = raw / (found("last_restore_duration_seconds") or 0)
    assert found("last_restore_bytes_per_second") == pytest.approx(rate)
    assert (found("last_restore_duration_seconds") or 0) > 0
    assert began <= (found("last_restore_timestamp_seconds") or 0) <= ended
    assert began <= (found("last_proven_restore_timestamp_seconds") or 0) <= ended


def test_the_numbers_are_there_right_after_a_restart(monitored):
    """The first answer of a new process has what the last one of the old process had."""
    changing = {
        "backstay_schedule_last_success_age_seconds",
        "backstay_disk_free_bytes",
        "backstay_alerts_open",  # what is watched goes on meanwhile
        "backstay_limit_used",  # of this process
        "backstay_limit_hits_total",
    }

    def lasting(found):
        # Stores are looked at anew by each process, and each archives by itself.
        anew = {
            key[0] for key in found.numbers if re.match("backstay_(store|copies|binlog)", key[0])
        }
        return {key: n for key, n in found.numbers.items() if key[0] not in changing | anew}

    assert lasting(monitored.restarted) == lasting(monitored.after)


def test_every_number_is_explained_and_no_other(monitored):
    """docs/monitoring/README.md has a row for each, with its labels."""
    page = (DOCS / "monitoring" / "README.md").read_text()
    table = {row[0]: row[1] for row in rows(page) if row[0].startswith("backstay_")}
    real = {
        name: ", ".join(label for label, _ in labels) for name, labels in monitored.after.numbers
    }

    assert table == real


def test_numbers_are_gathered_fast(monitored):
    """Often asked, and never in the way of anything; measured with the connection kept."""
    client = monitored.api.client(None)
    seconds = []
    for _ in range(100):
        begun = time.perf_counter()
        client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        seconds.append(time.perf_counter() - begun)

    assert median(seconds) < 0.5  # whatever else the machine does now and then


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        [("Authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer x")],
        {"Authorization": "Bearer tok\u00e9n".encode()},
    ],
)
def test_the_token_is_needed(monitored, headers):
    """401 without it, with another one, or with two; and no number is told."""
    answer = monitored.api.client(None).get("/metrics", headers=headers)

    problem(answer, 401, "not-authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "backstay_" not in answer.text


def test_without_a_token_everybody_may_read(shared_api):
    """As a scraper on the same machine does."""
    answer = shared_api.client(None).get("/metrics")

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "backstay_build_info" in answer.text


def test_what_cannot_be_read_is_missing_and_named(own_api):
    """Without the history the catalogue is told all the same, and the other way round."""
    api = own_api(NOWHERE)
    api.backups.mkdir()
    (api.backups / "schedule.json").write_text("damaged")
    api.start(METRICS_TOKEN=TOKEN)
    with sqlite3.connect(api.state / "control.db") as control:
        control.execute("DROP TABLE runs")
    control.close()
    found = _once(api, lambda numbers: numbers("source_up", source="history") == 0)

    assert "backstay_runs_total" not in found.text
    assert found("source_up", source="schedules") == 0
    assert "backstay_schedule_enabled" not in found.text
    assert found("source_up", source="catalogue") == 1
    assert found("catalogue_backups") == 0


# -- docs/monitoring -------------------------------------------------------------------------------


def _labels(monitored):
    """Return the labels of each metric that there really is."""
    real: dict[str, set[str]] = {}
    for name, labels in monitored.after.numbers:
        real.setdefault(name, set()).update(label for label, _ in labels)
    return real


def _unknown(expression, real):
    """Return what an expression asks for that is not there."""
    wanted = selectors(expression)
    unknown = {name for name, labels in wanted if not labels <= real.get(name, {""})}
    unknown |= {name for name, _ in wanted if name not in real}
    known = set().union(*(real.get(name, set()) for name, _ in wanted))
    return unknown | (groupings(expression) - known)


def _expressions(panel):
    yield from (target["expr"] for target in panel.get("targets", ()))
    for below in panel.get("panels", ()):
        yield from _expressions(below)


def test_the_dashboard_asks_for_what_is_there(monitored):
    """Every name and label of every panel, the data source chosen by whoever imports it."""
    board = json.loads((DOCS / "monitoring" / "grafana-dashboard.json").read_text())
    real = _labels(monitored)
    expressions = [expression for panel in board["panels"] for expression in _expressions(panel)]
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    queries = [
        variable["query"]["query"] for variable in variables.values() if variable["type"] == "query"
    ]

    assert len(expressions) > 25
    assert {
        expression: _unknown(expression, real)
        for expression in expressions
        if _unknown(expression, real)
    } == {}
    assert all(is_balanced(expression) for expression in expressions)
    assert {name for query in queries for name, _ in selectors(query)} <= set(real)
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board))) - {"__all"}
    assert used == set(variables)
    assert variables["datasource"]["type"] == "datasource"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    # What a panel says under its title, and nothing of the machine that it was made on.
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert all(panel["title"] and panel["description"].endswith(".") for panel in panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}


def test_the_rules_ask_for_what_is_there(monitored):
    """Every name and label, in expressions and in what people read."""
    real = _labels(monitored)
    for rule in rules():
        assert _unknown(rule["expr"], real) == set(), rule["alert"]
        assert is_balanced(rule["expr"]), rule["alert"]
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert re.fullmatch(r"\d+[mhd]", rule.get("for", "1m"))
        told = " ".join(rule["annotations"].values())
        labels = set(re.findall(r"\$labels\.(\w+)", told)) - OF_THE_SCRAPE
        assert labels <= set().union(
            *(real.get(name, set()) for name, _ in selectors(rule["expr"]))
        )
        assert set(rule["annotations"]) == {"summary", "description"}
