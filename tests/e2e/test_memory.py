"""What a backup takes in memory, on the disk and to S3: a bound, and two parts of an upload above it."""

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from app.age.x25519 import Identity
from tests.fixtures.chosen_server import IS_MYSQL
from tests.fixtures.dry_runs import drop
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.fixtures.store_programs import BUCKET, KEY


MEGABYTES = 120 + (10 if IS_MYSQL else 0)  # which encrypts its connections
TWO_PARTS = 2 * 8
ROWS = series(24_000, 120_000)


@pytest.fixture
def blobs(cli, sql, database):
    """Bytes that nothing compresses, more of them than two parts hold."""
    sql.script([
        "CREATE TABLE blobs (id INT PRIMARY KEY, data BLOB)",
        f"INSERT INTO blobs SELECT seq, RANDOM_BYTES(1000) FROM seq_1_to_{ROWS}",
    ])
    yield database
    with Sql(cli.url) as cleaner:
        drop(cleaner, database)


def peak_of(process: "subprocess.Popen[str]") -> int:
    """Wait for a command, and return the most that it has taken, in MB."""
    peak = 0
    while process.poll() is None:
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            peak = int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    _, err = process.communicate()
    assert process.returncode == 0, err
    return peak // 1024


@pytest.mark.long
@pytest.mark.parametrize("is_encrypted", series([True], [False, True]))
def test_a_backup_takes_little_memory_and_two_parts_more_to_s3(
    cli, blobs, store_servers, is_encrypted
):
    """Of an installation that was in use before: the first run makes the control database."""
    address = f"offsite=s3://{BUCKET}/memory?endpoint={store_servers.s3}&access_key={KEY}&secret_env=S3_SECRET"
    lines = [f"S3_SECRET='{store_servers.variables['S3_SECRET']}'"]
    lines += [f"BACKSTAY_ENCRYPT_TO={Identity.new().recipient}"] if is_encrypted else []
    (cli.home / ".env").write_text("\n".join(lines))
    cli.json("user", "list")
    create = ("backup", "create", "--database", blobs, "--json")
    with cli.start(*create, STORES=address) as process:
        here = peak_of(process)
    with cli.start(*create, "--store", "offsite", STORES=address) as process:
        there = peak_of(process)

    print(f"disk {here} MB, S3 {there} MB")  # noqa: T201
    assert here <= MEGABYTES
    assert there <= MEGABYTES + TWO_PARTS
