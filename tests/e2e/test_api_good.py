"""The good path of the API, from the first token to an undo, over real HTTP."""

import json
import subprocess

from tests.fixtures.api import claims_of, encoded, finished
from tests.fixtures.cli import address


# "API Usage" of the document that callers were given, as written.
CREATE = """
curl -X POST /api/admin/backup/create \\
  -H "Authorization: Bearer $ADMIN_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{"description":"Manual backup","compress":true}'
"""
LIST = """
curl -X GET /api/admin/backup/list \\
  -H "Authorization: Bearer $ADMIN_TOKEN"
"""
RESTORE = """
curl -X POST /api/admin/backup/restore/backup_65ba1f2f3d4e5 \\
  -H "Authorization: Bearer $ADMIN_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{"verify_before":true,"create_backup":true}'
"""


def test_a_backup_is_made_and_listed(admin, sql, database):
    """POST create answers 202 with the place of its run; when that is over, the backup is listed."""
    sql.run("CREATE TABLE t AS SELECT seq FROM seq_1_to_100")

    begun = admin.post(
        "/api/admin/backup/create",
        json={"description": "Manual backup", "compress": True, "databases": [database]},
    )
    run = finished(admin, begun.json()["run_id"])

    assert begun.status_code == 202
    assert begun.headers["Location"] == f"/api/admin/runs/{run['run_id']}"
    assert (run["state"], run["success"], run["result"]["rows_count"]) == ("succeeded", True, 100)
    listed = admin.get("/api/admin/backup/list", params={"database": database}).json()
    assert [backup["backup_id"] for backup in listed["backups"]] == [run["backup_id"]]


def test_the_documented_examples_work_as_written(own_api, server, sql, database):
    """Create, list and restore by the document's own curl lines, only the address put before them."""
    sql.script(["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"])
    api = own_api(address(server.url, database=database)).start()
    client = api.client()

    run = finished(client, _curl(api, CREATE)["run_id"])
    backup_id = run["backup_id"]
    listed = _curl(api, LIST)
    sql.run("DELETE FROM t")
    restored = finished(
        client, _curl(api, RESTORE.replace("backup_65ba1f2f3d4e5", backup_id))["run_id"]
    )

    assert (run["result"]["databases"], run["result"]["rows_count"]) == ([database], 2)
    (line,) = listed["backups"]
    assert (listed["success"], line["backup_id"]) == (True, backup_id)
    assert line["options"] == {
        "include_data": True,
        "compress": True,
        "verify": True,
        "description": "Manual backup",
    }
    assert restored["state"] == "succeeded"
    assert restored["result"]["verified_before"] is True
    assert restored["result"]["recovery_point"]
    assert sql.run("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


def _curl(api, example):
    command = example.strip().replace(" /api/", f" --silent --show-error {api.url}/api/")
    token = encoded(claims_of("admin"))
    answer = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        check=True,
        env={**api.environment, "ADMIN_TOKEN": token},
        timeout=60,
    )
    return json.loads(answer.stdout)
