"""Command line: the demonstration holds what it says, and cleans up after itself."""

import signal
from pathlib import Path

from tests.fixtures.cli import Cli, wait_until


def _leftovers(home):
    return [path.name for path in Path(home).iterdir()]


def _processes(directory):
    """Ids of processes that were told about a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(directory).encode() in (process / "cmdline").read_bytes():
                found.append(process.name)
        except OSError:  # it has ended
            continue
    return found


def test_the_demo_damages_a_shop_and_gets_it_back(tmp_path):
    """Exit 0 only when the server's own checksums agree; no setting is needed."""
    cli = Cli("", tmp_path)
    document = cli.json("demo", TMPDIR=str(tmp_path))
    tables = {table["table"]: table for table in document["tables"]}

    assert all(table["equal"] for table in tables.values())
    assert tables["order_items"]["rows_damaged"] is None
    assert [name for name, table in tables.items() if table["harmed"]] == [
        "order_items",
        "products",
    ]
    assert document["rows_count"] == sum(table["rows"] for table in tables.values()) > 50_000
    assert _leftovers(tmp_path) == []
    assert _processes(tmp_path) == []


def test_the_demo_tells_people_what_it_did(tmp_path):
    """A table of steps and one of results; how to do without us; nothing left in words."""
    cli = Cli("", tmp_path)
    result = cli("demo", TMPDIR=str(tmp_path))

    assert result.code == 0
    for words in ("Damage the shop", "DROP TABLE order_items", "dropped", "600 changed", "zcat"):
        assert words in result.out
    assert result.out.endswith("Everything holds.\n")
    headings = next(line for line in result.out.splitlines() if line.startswith(" Step "))
    assert headings.index("Result") <= 40, "80 columns have room for what came of each step"
    assert result.err.startswith("Start a private MariaDB server ...\n")


def test_a_cancelled_demo_leaves_no_server_and_no_directory(tmp_path):
    """Ctrl-C in the middle: exit 130."""
    cli = Cli("", tmp_path)
    with cli.start("demo", TMPDIR=str(tmp_path)) as process:
        wait_until(lambda: bool(list(tmp_path.glob("*/server/data/shop"))), "the shop is there")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Cancelled" in err
    assert _leftovers(tmp_path) == []
    assert _processes(tmp_path) == []


def test_a_machine_without_a_server_program_is_told_what_to_install(tmp_path):
    """Exit 12 and one sentence; the installer is found by the search path alone, which is empty."""
    cli = Cli("", tmp_path)
    cli.path = str(tmp_path)
    error = cli.error("demo", code=12, TMPDIR=str(tmp_path))

    assert error["message"].startswith("no mariadb-install-db program found")
    assert "apt-get install mariadb-server" in error["hint"]
