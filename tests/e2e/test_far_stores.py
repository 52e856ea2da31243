"""A restore from far away: the server is the bound, not the way to the store."""

import json
import time

import pytest

from app.age.stream import CHUNK_BYTES
from app.age.x25519 import Identity
from tests.fixtures.dry_runs import drop
from tests.fixtures.link import link
from tests.fixtures.series import series
from tests.fixtures.servers import Sql


ROUND_TRIP_SECONDS, BYTES_A_SECOND = 0.05, 20e6
ROWS = series(30_000, 1_500_000)
ROUNDS = series(1, 3)
# While other tests run beside, a short restore says little of its time.
GOAL = series(2.0, 1.3)
# Lists, manifest and headers, of however small a backup.
OVERHEAD_BYTES = 64 << 10
# What is asked for before the first row: of a small restore that is much, of a real one nothing.
FIRST_ROUND_TRIPS = series(20, 0)


@pytest.fixture
def shop(cli, sql, database):
    """Rows that take the server longer than the line: indexed, and half of them compress."""
    sql.script([
        "CREATE TABLE notes (id INT PRIMARY KEY, note VARCHAR(200))",
        f"INSERT INTO notes SELECT seq, MD5(seq) FROM seq_1_to_{ROWS // 100}",
        "CREATE TABLE orders (id INT PRIMARY KEY, a CHAR(32), b CHAR(32), note VARCHAR(200), KEY (a), KEY (b))",
        f"INSERT INTO orders SELECT seq, MD5(seq), MD5(seq * 7), REPEAT('as it was ', 8) FROM seq_1_to_{ROWS}",
    ])
    yield database
    with Sql(cli.url) as cleaner:
        drop(cleaner, database)


def restore(cli, target, *words):
    """Restore into another database, and return how long the whole command took."""
    began = time.monotonic()
    with cli.start("restore", "run", "latest", "--into", target, "--json", *words) as process:
        out, err = process.communicate(timeout=600)
    seconds = time.monotonic() - began
    assert process.returncode == 0, err
    assert json.loads(out)["verified"]
    with Sql(cli.url) as cleaner:
        drop(cleaner, target)
    return seconds


@pytest.fixture
def far(request, cli, shop, store_servers):
    """A store 50 ms away, at 20 MB/s, with a copy of a backup that is here too, and what each restore reads beside."""
    overhead = OVERHEAD_BYTES
    variables = {"S3_SECRET": store_servers.variables["S3_SECRET"]}
    if getattr(request, "param", "plain") == "encrypted":
        me = Identity.new()
        overhead += 2 * CHUNK_BYTES  # a range begins and ends within one
        variables |= {
            "BACKSTAY_ENCRYPT_TO": str(me.recipient),
            "BACKSTAY_IDENTITY": me.secret_text(),
        }
    with link(store_servers.s3, ROUND_TRIP_SECONDS, BYTES_A_SECOND) as line:
        (cli.home / "state").mkdir()
        table = store_servers.definition("s3", line.url).model_dump(
            mode="json", exclude_defaults=True
        )
        lines = ["[offsite]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        (cli.home / "state" / "stores.toml").write_text("\n".join(lines))
        (cli.home / ".env").write_text("".join(f"{k}='{v}'\n" for k, v in variables.items()))
        cli.json("backup", "create", "--database", shop)
        copied = cli.json("backup", "copy", "latest", "--to", "offsite")
        yield line, copied["size"], overhead


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("far", series(["encrypted"], ["plain", "encrypted"]), indirect=True)
def test_a_restore_over_a_slow_line_takes_little_longer_than_one_from_the_disk(cli, shop, far):
    """Each byte once; the best of some rounds in turn, for this machine does other things too."""
    line, size, overhead = far
    here, there = [], []
    passed = line.passed
    for _ in range(ROUNDS):
        here.append(restore(cli, f"{shop}_here"))
        there.append(restore(cli, f"{shop}_there", "--store", "offsite"))
    read = (line.passed - passed) / ROUNDS

    print(f"disk {min(here):.2f} s, line {min(there):.2f} s, {read / 1e6:.1f} MB read")  # noqa: T201
    assert read < 1.01 * size + overhead
    assert read / BYTES_A_SECOND < min(here)  # else the line is the bound
    assert min(there) <= GOAL * min(here) + FIRST_ROUND_TRIPS * ROUND_TRIP_SECONDS


@pytest.mark.long
@pytest.mark.parametrize("far", ["plain", "encrypted"], indirect=True)
def test_one_table_of_a_hundredth_costs_three_hundredths_of_the_bytes(cli, shop, far):
    """With manifest, lists and headers of all requests, as a vendor counts them."""
    line, size, overhead = far
    passed = line.passed
    restore(cli, f"{shop}_one", "--store", "offsite", "--table", "notes")

    assert line.passed - passed <= 0.03 * size + overhead
