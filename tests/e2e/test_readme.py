"""What the README shows is what the program prints: its samples, made again."""

import os
import re
import subprocess
from collections.abc import Sequence

import pytest

from app.sandbox import shop
from tests.fixtures.chosen_server import CLIENT, IS_MYSQL
from tests.fixtures.cli import PROGRAM
from tests.fixtures.pages import ROOT


README = (ROOT / "README.md").read_text()
SAMPLES = [
    (command, output)
    for block in re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for command, output in re.findall(
        r"^\$ (.*(?:\n    .*)*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE
    )
]
# What is another one each time, in the order in which it is looked for.
OTHERS = (
    (r"backup_[0-9a-f]{13}", "BACKUP"),
    (r"(restore|run)_[0-9a-f]{12,16}", "ID"),
    (r"\b[0-9a-f]{64}\b", "DIGEST"),
    (r"\d{4}-\d\d-\d\d[ _T]\d\d[:-]\d\d([:-]\d\d)?", "TIME"),
    (r"\S*/backups/", "DIRECTORY/"),
    (r"\d[\d.,]* [kMGT]?B\b", "SIZE"),
    (r"\d[\d.,]* s\b|\d+:\d\d\b", "SECONDS"),
    (r"\((at a typical rate|as the last \w+ took)\)", "(BY)"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"\d+ of \d+\b", "SOME"),  # by the server's estimates
    (r"[ \t]+|─+", " "),
)


def _shape(text: str) -> list[str]:
    """Reduce an output to what is the same each time, line by line."""
    for pattern, name in OTHERS:
        text = re.sub(pattern, name, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def _sample(beginning: str) -> tuple[str, str]:
    """Return the only command of the README that begins so, and what it is said to print."""
    (found,) = (sample for sample in SAMPLES if sample[0].startswith(beginning))
    return found


def _arguments(command: str, **names: str) -> Sequence[str]:
    """Take a command apart as a shell does; the program itself and the comment are left out."""
    command = command.partition("  #")[0]
    for name, value in names.items():
        command = re.sub(name, value, command)
    return [part.strip("\"'") for part in re.findall(r"'[^']*'|\"[^\"]*\"|\S+", command)][1:]


@pytest.fixture
def shop_name(sql, database):
    """The shop of the demo, under a name of this test."""
    name = f"{database}_shop"
    sql.script(["SET SESSION sql_mode = ''", *shop.statements(name)])
    return name


def test_samples_of_commands_are_what_is_printed(cli, sql, shop_name):
    """A backup, a dry run and a restore: line by line, but for ids, times and sizes."""
    in_order = sorted if IS_MYSQL else list  # it sorts an underscore before letters
    command, shown = _sample("backstay backup create")
    made = cli(*_arguments(command, shop=shop_name))
    backup_id = made.out.split()[1]
    sql.script(shop.damage())

    assert _shape(made.out.replace(shop_name, "shop")) == _shape(shown)
    for command, shown in SAMPLES:
        if command.startswith("backstay restore run"):
            named = re.sub(r"backup_[0-9a-f]{13}", backup_id, command)
            printed = cli(*_arguments(named))
            found = _shape(printed.out.replace(shop_name, "shop"))
            assert in_order(found) == in_order(_shape(shown)), printed


def test_samples_of_the_service_are_what_is_answered(cli, own_api, server):
    """The first user is an admin; the service says where it listens, and answers as it is shown."""
    command, shown = _sample("backstay user create")
    api = own_api(server.url)
    made = subprocess.run(
        [PROGRAM, *_arguments(command), "--password-stdin"],
        input="correct horse battery\n",
        env=api.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == shown

    api.start()
    _, listens = _sample("backstay serve")
    assert _shape(listens)[0] in _shape(api.log)
    script, made_id = f"API={api.url}/api\n", ""
    for command, shown in SAMPLES:
        if command.startswith(("TOKEN=", "AUTH=", "curl ")):
            named = re.sub(r"backup_[0-9a-f]{13}", made_id, command)
            answer = _run_by_shell(script + named)
            for line in shown.splitlines():
                wanted = "".join(_shape(line.removesuffix("...")))
                assert any(told.startswith(wanted) for told in _shape(answer)), (named, answer)
            made_id = answer.strip()
            script += f"{command}\n" if "=" in command.split()[0] else ""


def _run_by_shell(script: str) -> str:
    command = ["bash", "-ec", script]
    done = subprocess.run(
        command, env={"PATH": os.defpath}, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_samples_fit_a_terminal():
    """80 columns, as wide as a terminal opens; a line of a crontab cannot be broken."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line for kind, block in blocks if kind != "crontab" for line in block.splitlines()]

    assert len(blocks) > 10
    assert [line for line in lines if len(line) > 80] == []


def test_the_encrypted_schedule_makes_a_backup_that_comes_back_without_us(cli, sql, database):
    """Three lines make it, as they stand there; `age`, `zcat` and the client read it."""
    section = README.partition("## Encrypted, and elsewhere\n")[2].partition("\n## ")[0]
    setting_up, by_hand = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    sql.script(["CREATE TABLE users (id INT PRIMARY KEY)", "INSERT INTO users VALUES (1), (2)"])
    (cli.home / "offsite").mkdir()
    (cli.home / ".env").write_text(
        f"BACKSTAY_DATABASE_URL={cli.url}\nBACKSTAY_BACKUP_DIR={cli.backups}\n"
        f"BACKSTAY_STORES=offsite=local://{cli.home}/offsite\n"
    )
    path = {"PATH": f"{PROGRAM.parent}:{os.defpath}"}
    subprocess.run(["sh", "-ec", setting_up], check=True, cwd=cli.home, env=path)

    made = cli.json("cron", "--force")
    assert made["databases"] == [database]
    (file,) = (cli.home / "offsite").glob("backup_*.age")
    sql.script(["DROP TABLE users", f"CREATE DATABASE {database}_check"])
    port = cli.url.rsplit(":", 1)[1].partition("/")[0]
    client = f"{CLIENT} --no-defaults --protocol=tcp --host=127.0.0.1 --user=root --port={port}"
    line = by_hand.strip().replace("mariadb", client).replace("shop_check", f"{database}_check")
    line = line.replace("FILE", str(file))
    subprocess.run(["sh", "-ec", line], check=True, cwd=cli.home)
    assert sql.run(f"SELECT COUNT(*) FROM {database}_check.users") == [(2,)]
    sql.script([f"DROP DATABASE {database}_check"])


@pytest.mark.parametrize("others", [1, 120])
def test_one_table_comes_back_by_hand(cli, sql, database, others):
    """Only that one, out of a member that it shares with others; so of a backup of more than 100 tables."""
    section = README.partition("## Restore without Backstay\n")[2].partition("\n## ")[0]
    by_hand = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[-1]
    sql.script(["CREATE TABLE users (id INT PRIMARY KEY)", "INSERT INTO users VALUES (1), (2)"])
    sql.script([f"CREATE TABLE other_{n} (id INT PRIMARY KEY)" for n in range(others)])
    file = cli.json("backup", "create", "--database", database)["full_path"]
    sql.script([f"CREATE DATABASE {database}_check"])
    port = cli.url.rsplit(":", 1)[1].partition("/")[0]
    client = f"{CLIENT} --no-defaults --protocol=tcp --host=127.0.0.1 --user=root --port={port}"
    line = by_hand.replace("| mariadb shop_check", f"| {client} {database}_check")
    subprocess.run(["sh", "-ec", line.replace("FILE", file)], check=True, cwd=cli.home)

    assert sql.run(f"SELECT COUNT(*) FROM {database}_check.users") == [(2,)]
    assert sql.run(f"SHOW TABLES FROM {database}_check") == [("users",)]
    sql.script([f"DROP DATABASE {database}_check"])
