"""The control database lies on the server that is backed up: it is in the backups, and nobody restores over it."""

from urllib.parse import urlsplit

import pytest

from tests.fixtures.api import finished
from tests.fixtures.servers import Sql


@pytest.fixture
def api(own_api, server, database):
    """A service whose history is a database of the server, asked for by another name of the machine."""
    url = urlsplit(server.url)
    host = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}[url.hostname or ""]
    login, _, _ = url.netloc.rpartition("@")
    control = f"mysql://{login}@{host}:{url.port}/{database}?ssl_mode=DISABLED"
    return own_api(server.url).start(CONTROL_URL=control)


def run(client, path, **body):
    """Start a run and wait for its end."""
    answer = client.post(f"/api/admin/backup/{path}", json=body)
    assert answer.status_code == 202, answer.text
    return finished(client, answer.json()["run_id"])


def test_a_restore_over_the_history_is_refused_before_it_begins(api, database, server):
    """By restore and dry run alike; beside it, and as a drill, it comes back."""
    client = api.client()
    backup = run(client, "create", databases=[database])["backup_id"]

    refused = run(client, f"restore/{backup}")
    assert refused["error"]["code"] == "invalid-request"
    assert "control database" in refused["error"]["message"]
    looked = run(client, f"test-restore/{backup}")
    assert [problem["code"] for problem in looked["result"]["problems"]] == ["invalid-request"]

    other = f"{database}_beside"
    assert run(client, f"restore/{backup}", into=other)["state"] == "succeeded"
    with Sql(server.url) as sql:
        sql.run(f"DROP DATABASE `{other}`")
    assert run(client, f"test-restore/{backup}", drill=True)["state"] == "succeeded"


def test_a_database_that_is_only_called_so_is_restored(api, other, server):
    """What this installation wrote last is not in it."""
    with Sql(server.url) as sql:
        sql.run(f"CREATE TABLE `{other}`.runs (run_id VARCHAR(64))")
    client = api.client()
    backup = run(client, "create", databases=[other])["backup_id"]

    assert run(client, f"restore/{backup}")["state"] == "succeeded"
