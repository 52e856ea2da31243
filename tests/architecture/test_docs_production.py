"""docs/production.md: rights and units are what the program and the system take."""

import configparser
import re
import shutil
import subprocess

import pytest
import yaml

from app.cli.program import build_program
from app.config import Settings, load_settings
from app.domain.schedule import DEFAULT_NAME
from app.engine.flavor import flavor_of
from app.engine.server.grants import (
    missing_for_backup,
    missing_for_bodies,
    missing_for_definers,
    missing_for_restore,
    missing_in_scratch,
    read_grants,
    statements_for_user,
)
from tests.fixtures.cli import PROGRAM
from tests.fixtures.grants import granted, printed
from tests.fixtures.pages import DOCS, ROOT, section


SERVERS = {"MariaDB": "10.11.6-MariaDB", "MySQL": "8.4.5"}
UNIT = DOCS / "production" / "backstay.service"
EXAMPLE = DOCS / "production" / "backstay.env"
PAGE = (DOCS / "production.md").read_text()
OTHERS = ["`shop`@`%`"]


class _Session:
    """Answers as a server where somebody has run the statements of a section."""

    def __init__(self, grants, version):
        self._grants = grants
        self.flavor = flavor_of(version)

    async def texts(self, _sql):
        return [
            (f"GRANT {', '.join(rights)} ON {scope} TO `u`@`%`",) for rights, scope in self._grants
        ]

    async def scalar(self, _sql):
        return "u@%"


async def _missing(server, grants, *, restores):
    held = await read_grants(_Session(grants, SERVERS[server]))  # type: ignore[arg-type]  # a fake
    found = missing_for_backup(held, ["shop"])
    if restores:
        found += missing_for_restore(held, ["shop"])
        found += missing_in_scratch(held, {"shop__bk_new_1": r"shop\_\_bk\_%"})
        found += missing_for_definers(held, OTHERS)
        found += missing_for_bodies(held, OTHERS)
    return found


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("heading", ["backups", "backups and restores"])
def test_pages_and_this_document_print_the_same_statements(server, heading):
    """There is one source of them, which the form that connects a server shows."""
    block = section(PAGE, f"{server}: {heading}").split("```sql\n")[1].split("```")[0]

    assert block == statements_for_user(
        flavor_of(SERVERS[server]), restores=heading.endswith("restores")
    )


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("restores", [False, True], ids=["backups", "restores"])
async def test_the_printed_rights_are_those_that_the_program_asks_for(server, restores):
    """All of them are enough; without any one of the needed ones exactly that one is missing."""
    heading = f"{server}: backups" + " and restores" * restores
    needed = printed(heading, only_needed=True)

    assert await _missing(server, printed(heading), restores=restores) == []
    for right, scope in granted(needed):
        rest = [
            ([held for held in rights if (held, of) != (right, scope)], of) for rights, of in needed
        ]
        found = await _missing(server, [grant for grant in rest if grant[0]], restores=restores)
        required = {(gap.right, gap.scope) for gap in found if gap.required}
        assert required == {(right, scope)}


def _unit():
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as the module's pages do it
    unit.read(UNIT)
    return unit


def test_the_unit_fits_the_installation_on_the_page():
    """Program, directories, user and settings are those that the page makes."""
    service = _unit()["Service"]
    words = service["ExecStart"].split()

    assert words[0] == "/opt/backstay/.venv/bin/backstay"
    assert words[1] in build_program().commands
    assert f"useradd --system --user-group --home-dir {service['WorkingDirectory']} " in PAGE
    assert service["User"] == service["Group"] == "backstay"
    assert f"-m 0600 docs/production/backstay.env {service['EnvironmentFile']}" in PAGE
    for path in (service["WorkingDirectory"], service["ReadWritePaths"]):
        assert re.search(
            rf"^install -d -o backstay -g backstay -m 0700 .*{path}\b", PAGE, re.MULTILINE
        )
    assert _unit()["Unit"]["RequiresMountsFor"] == service["ReadWritePaths"]


def test_the_unit_is_hardened_and_waits_for_what_is_stopped():
    """The file system is read-only, nobody gains rights, and cleaning has its time."""
    service = _unit()["Service"]

    assert (service["Type"], service["Restart"], service["ProtectSystem"]) == (
        "exec", "on-failure", "strict",
    )  # fmt: skip
    assert (service["NoNewPrivileges"], service["CapabilityBoundingSet"]) == ("yes", "")
    assert int(service["TimeoutStopSec"]) >= 10 + Settings().shutdown_seconds + 60


def test_the_unit_is_as_closed_as_the_page_about_security_says():
    """Where no systemd looks at it as well: each word of that sentence, and that no core is written."""
    service = _unit()["Service"]
    said = {
        "a user of its own": ("User", "backstay"),
        "no capabilities": ("CapabilityBoundingSet", ""),
        "a read-only system": ("ProtectSystem", "strict"),
        "private `/tmp` and devices": ("PrivateTmp", "yes"),
        "a filter of system calls": ("SystemCallFilter", "@system-service"),
        "`UMask=0077`": ("UMask", "0077"),
        "The unit sets `LimitCORE=0`": ("LimitCORE", "0"),
    }

    text = (DOCS / "security.md").read_text()
    assert [words for words in said if words not in text] == []
    assert {name: service[name] for name, _ in said.values()} == dict(said.values())
    assert service["PrivateDevices"] == service["NoNewPrivileges"] == "yes"


def test_systemd_takes_the_unit(tmp_path):
    """Where systemd is, it finds nothing wrong with it, and little that it could do to the machine."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/backstay/.venv/bin/backstay", str(PROGRAM)))
    checker = shutil.which("systemd-analyze") or ""
    commands = (("verify", "--man=no"), ("security", "--offline=true", "--threshold=25"))

    assert "ExecStart=" in unit.read_text()
    for command in commands if checker else ():
        done = subprocess.run(
            [checker, *command, unit], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        assert UNIT.name not in done.stderr


def test_the_example_of_settings_is_one(tmp_path, monkeypatch):
    """All of its lines are settings that make sense, also those that wait behind a comment sign."""
    text = re.sub(r"^#(?=BACKSTAY_)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(text)
    names = re.findall(r"^(\w+)=", text, re.MULTILINE)

    settings = load_settings()

    assert {f"BACKSTAY_{name.upper()}" for name in settings.model_fields_set} == set(names)
    assert str(settings.backup_dir) == _unit()["Service"]["ReadWritePaths"]
    assert str(settings.state_dir) == _unit()["Service"]["WorkingDirectory"]
    assert "?unix_socket=/run/mysqld/mysqld.sock" in settings.database_url.get_secret_value()


def test_compose_keeps_what_it_must_keep_in_volumes():
    """The directories are those of the image, on volumes; everything else is read-only."""
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["backstay"]
    volumes = {volume.partition(":")[2] for volume in service["volumes"]}
    made = {name: service["environment"][name] for name in service["environment"]}

    assert {made["BACKSTAY_BACKUP_DIR"], made["BACKSTAY_STATE_DIR"]} == volumes
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert {name.removeprefix("BACKSTAY_").lower() for name in made} <= set(Settings.model_fields)
    assert all(path in (ROOT / "Dockerfile").read_text() for path in volumes)


def test_the_crontab_lines_are_on_both_pages():
    """Two lines of two schedules, so that neither's backups push out the other's; in the README as well."""
    pattern = r"^[\d* -]+ /opt/\S+ cron --frequency=\w+(?: --name (\w+))?$"
    lines = list(re.finditer(pattern, PAGE, re.MULTILINE))
    readme = (ROOT / "README.md").read_text()

    assert [" ".join(line[0].split()[:5]) for line in lines] == ["0 2 * * *", "0 9-17 * * 1-5"]
    assert len({line[1] or DEFAULT_NAME for line in lines}) == len(lines)
    assert all(" ".join(line[0].split()) in " ".join(readme.split()) for line in lines)
