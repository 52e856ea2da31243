"""Every command under everything that can be wrong around it: a documented end, and never a traceback."""

import itertools
import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.cli.exits import EXIT_CODES
from app.cli.program import build_program
from tests.fixtures import forked_program
from tests.fixtures.cli import PROGRAM, wait_until
from tests.fixtures.series import series


DOCUMENTED = {0, 2, *EXIT_CODES.values()}
NOWHERE = "mysql://nobody:hunter2secret@127.0.0.1:1/"
GARBAGE = b'{"\x00\xff[' * 50
# What is given where a command wants something.
ARGUMENTS = {"ID": "backup_65ba1f2f3d4e5", "ROLE": "viewer"}
# They would work, or last, whatever is wrong: their own tests show how they end.
OPTIONS = {"serve": ("--host", "203.0.113.1"), "set": ("--frequency", "daily")}
LASTING = {("demo",), ("binlog", "run")}
# Whatever the settings are, they do what they do.
WITHOUT_SETTINGS = {("key", "new")}


def _leaves(command: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """List every command that does something, with what it must be given."""
    found = []
    for name, below in sorted(command.commands.items()):
        if hasattr(below, "commands"):
            found += _leaves(below, (*path, name))
        elif (*path, name) not in LASTING:
            needed = [parameter for parameter in below.load().params if parameter.required]
            given = [
                text
                for parameter in needed
                for text in (
                    (ARGUMENTS.get(parameter.metavar, "somebody"),)
                    if parameter.param_type_name == "argument"
                    else (parameter.opts[0], "something")
                )
            ]
            found.append((*path, name, *OPTIONS.get(name, ()), *given))
    return found


COMMANDS = _leaves(build_program())


@dataclass
class World:
    """
    What is around a command.

    Attributes:
        home: Where it is started; its directories are `backups` and `state` there.
        settings: Variables without their prefix.
        variables: Others, as they are.
        start: How the process is started.
        out: Where stdout goes; empty = it is read.
    """

    home: Path
    settings: dict[str, str] = field(default_factory=lambda: {"DATABASE_URL": NOWHERE})
    variables: dict[str, str] = field(default_factory=dict)
    start: dict[str, Any] = field(default_factory=dict)
    out: str = ""

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command in it; returns its code, stdout and stderr."""
        (self.home / "tmp").mkdir(exist_ok=True)
        environment = {
            "PATH": os.defpath,
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "BACKSTAY_BACKUP_DIR": str(self.home / "backups"),
            "BACKSTAY_STATE_DIR": str(self.home / "state"),
            **{f"BACKSTAY_{name}": value for name, value in self.settings.items()},
            **self.variables,
        }
        start = {"directory": self.home, **self.start}
        out = Path(self.out or self.home / "tmp" / "out")
        with out.open("wb") as to, (self.home / "tmp" / "err").open("wb") as err:
            process = forked_program.start(
                arguments, environment=environment, out=to.fileno(), err=err.fileno(), **start
            )
            code = process.wait()
        said = "" if self.out else out.read_text("utf-8", "backslashreplace")
        return code, said, (self.home / "tmp" / "err").read_text("utf-8", "backslashreplace")


def _of_another_user(world: World) -> None:
    there = world.home / "theirs"
    there.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(there, 65534, 65534)
        world.start["powerless"] = True
    else:
        there.chmod(0)
    world.settings |= {"BACKUP_DIR": str(there / "b"), "STATE_DIR": str(there / "s")}


def _files_for_directories(world: World) -> None:
    for name in ("backups", "state"):
        (world.home / name).write_bytes(b"mine")


def _below_a_file(world: World) -> None:
    (world.home / "file").write_bytes(b"mine")
    below = str(world.home / "file" / "below")
    world.settings |= {"BACKUP_DIR": below, "STATE_DIR": below}


def _garbage_in_every_file(world: World) -> None:
    for name in ("backups/metadata.json", "backups/schedule.json", "state/control.db",
                 "state/clock/witness.json", "state/audit/head.json", "state/known/directories.json",
                 "state/recoveries/restore_000000000000.json", "state/jwt.secret",
                 "backups/backup_2024-01-31_10-22-07_backup_65ba1f2f3d4e5.sql.gz",
                 "backups/backup_2024-01-31_10-22-07_backup_65ba1f2f3d4e5.sql.gz.manifest.json",
                 "backups/backup_2024-01-31_10-22-07_backup_65ba1f2f3d4e5.sql.gz.notes.json"):  # fmt: skip
        file = world.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(GARBAGE)


def _directories_for_files(world: World) -> None:
    for name in ("backups/metadata.json", "backups/schedule.json", "backups/.lock",
                 "state/control.db", "state/clock/witness.json", "state/recoveries/.lock"):  # fmt: skip
        (world.home / name).mkdir(parents=True)


def _pipes_for_files(world: World) -> None:
    for name in ("backups/metadata.json", "backups/schedule.json", "backups/sizes.json", "backups/.lock",
                 "state/control.db", "state/servers.json", "state/stores.toml", "state/audit.key",
                 "state/jwt.secret", "state/recoveries/restore_000000000000.json"):  # fmt: skip
        (world.home / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(world.home / name)


def _links_to_nowhere(world: World) -> None:
    for name in ("backups/metadata.json", "backups/schedule.json", "backups/.lock", "state"):
        (world.home / name).parent.mkdir(exist_ok=True)
        (world.home / name).symlink_to("nowhere/at/all")


def _settings_that_are_no_text(world: World) -> None:
    (world.home / ".env").write_bytes(b"BACKSTAY_JWT_SECRET=hunter2secret\xff")


def _settings_that_are_a_directory(world: World) -> None:
    (world.home / ".env").mkdir()


def _settings_that_are_a_pipe(world: World) -> None:
    os.mkfifo(world.home / ".env")


def _deleted_directory(world: World) -> None:
    world.start["directory"] = world.home / "gone"
    world.settings |= {"BACKUP_DIR": "relative", "STATE_DIR": "relative/too"}


def _with(**settings: str) -> Callable[[World], None]:
    return lambda world: world.settings.update(settings)


def _variables(**variables: str) -> Callable[[World], None]:
    return lambda world: world.variables.update(variables)


def _started(**start: Any) -> Callable[[World], None]:
    return lambda world: world.start.update(start)


def _full_output(world: World) -> None:
    world.out = "/dev/full"


# What may be wrong, and which codes are right whatever the command; None = any that is documented.
WORLDS: dict[str, tuple[Callable[[World], None], set[int] | None]] = {
    "nothing": (lambda world: None, None),
    "directories of another user": (_of_another_user, None),
    "files for directories": (_files_for_directories, None),
    "below a file": (_below_a_file, None),
    "garbage in every file": (_garbage_in_every_file, None),
    "directories for files": (_directories_for_files, None),
    "pipes for files": (_pipes_for_files, None),
    "links to nowhere": (_links_to_nowhere, None),
    ".env is no text": (_settings_that_are_no_text, {12}),
    ".env is a directory": (_settings_that_are_a_directory, None),
    ".env is a pipe": (_settings_that_are_a_pipe, {12}),
    "the directory is gone": (_deleted_directory, None),
    "no server": (_with(DATABASE_URL=""), None),
    "a port beyond": (_with(DATABASE_URL="mysql://u:hunter2secret@h:99999/"), None),
    "no host": (_with(DATABASE_URL="mysql://"), None),
    "another database": (_with(DATABASE_URL="postgres://u:hunter2secret@h/d"), None),
    "a control database elsewhere": (
        _with(CONTROL_URL="mysql://u:hunter2secret@127.0.0.1:1/d"),
        None,
    ),
    "a control database of no kind": (_with(CONTROL_URL="hunter2secret"), None),
    "no directory": (_with(BACKUP_DIR=""), {12}),
    "no number": (_with(THREADS="hunter2secret"), {12}),
    "an endless time": (_with(UNDO_MINUTES="inf"), {12}),
    "no time zone": (_with(TIMEZONE="Europe/Nowhere"), {12}),
    "no times of checks": (_with(CHECK_CRON="every day"), None),
    "alerts to nowhere": (_with(ALERT_URLS="hunter2secret://", PING_URLS="x=hunter2secret"), None),
    "a log that is a directory": (_with(LOG_FILE="/"), None),
    "wrong names": (_with(BACKUPDIR="hunter2secret", N0_SUCH="1"), None),
    "POSIX": (_variables(LC_ALL="POSIX", PYTHONUTF8="0"), None),
    "no such locale": (_variables(LC_ALL="xx_XX.KOI8-R", LANG="C"), None),
    "nobody": (_variables(HOME="", TMPDIR="/nowhere", USER=""), None),
    "no rights for the owner": (_started(umask=0o777, powerless=os.geteuid() == 0), None),
    "no stdin": (_started(closed=(0,)), None),
    "no stdout": (_started(closed=(1,)), None),
    "no stderr": (_started(closed=(2,)), None),
    "no descriptors": (_started(closed=(0, 1, 2)), None),
    "a full output": (_full_output, None),
}
# Each command in as many worlds, so that short series have tried every one of both.
EACH = series(2, len(WORLDS))


def _cases() -> list[tuple[str, tuple[str, ...]]]:
    worlds = itertools.cycle(WORLDS)
    return [(next(worlds), command) for command in COMMANDS for _ in range(EACH)]


@pytest.mark.long
@pytest.mark.parametrize("first", sorted({command[0] for command in COMMANDS}))
def test_no_command_ends_in_a_traceback(tmp_path, first):
    """Whatever is wrong around it, with and without --json: a documented code, and no secret."""
    for number, (name, command) in enumerate(_cases()):
        if command[0] != first:
            continue
        home = tmp_path / str(number)
        home.mkdir(mode=0o755)
        prepare, codes = WORLDS[name]
        if command[:2] in WITHOUT_SETTINGS:
            codes = None
        world = World(home)
        prepare(world)
        as_json = number % 2 == 0
        code, out, err = world.run(*command, *(["--json"] if as_json else []))

        where = f"{' '.join(command)} with {name}: {code}\n{out[-2000:]}\n{err[-4000:]}"
        assert code in (codes or DOCUMENTED), where
        assert "Traceback" not in out + err, where
        assert "Exception ignored" not in err, where
        assert "hunter2secret" not in out + err, where
        if as_json and not world.out and 1 not in world.start.get("closed", ()):
            assert json.loads(out)["success"] is (code == 0), where


@pytest.mark.parametrize("cron", ["every day", "", "60 * * * *", "* * * * * *"])
def test_checks_at_no_time_are_refused(tmp_path, cron):
    """A pass by hand needs it as well: its share is that of the time to the next one."""
    world = World(tmp_path, {"DATABASE_URL": NOWHERE, "CHECK_CRON": cron})
    code, _, err = world.run("backup", "check")
    assert code == 12
    assert err.startswith("Invalid request: BACKSTAY_CHECK_CRON: ")


def test_every_command_is_tried():
    """The tree is walked, so that a new command is tried with the others."""
    assert len(COMMANDS) > 30
    assert {("backup", "create"), ("restore", "undo", ARGUMENTS["ID"])} <= set(COMMANDS)


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_a_backup_that_nobody_reads_of_is_made(cli, database, as_json):
    """A reader that has gone is no failure; a full disk is one of the output, and says so: 21."""
    create = ("backup", "create", "--database", database, *["--json"] * as_json)
    ended = {}
    for name, shell in (("gone", '"$0" "$@" | head -0'), ("full", '"$0" "$@" >/dev/full'),
                        ("closed", '"$0" "$@" >&-')):  # fmt: skip
        cli.wrapper = ("/bin/bash", "-o", "pipefail", "-c", shell)
        ended[name] = cli(*create)
    cli.wrapper = ()

    assert {name: result.code for name, result in ended.items()} == {
        "gone": 0, "full": 21, "closed": 0,
    }  # fmt: skip
    assert "could not be printed: no space left on device" in ended["full"].err
    assert all("Traceback" not in result.err for result in ended.values())
    assert len(cli.json("backup", "list")["backups"]) == 3


@pytest.mark.long
def test_signals_end_a_command_at_every_moment(cli, database):
    """By a code that is true, and no traceback: 130 and nothing was made, or 0 and it was."""
    chosen = random.Random(14)  # noqa: S311 - no secret
    commands = (("backup", "create", "--database", database), ("backup", "list"), ("--help",),
                ("user", "list"), ("doctor",))  # fmt: skip
    # Else a list says that there is none, where a backup was stopped soon.
    cli.backups.mkdir(mode=0o700)
    files = len(cli.files())
    for number in range(series(8, 400)):
        command = commands[number % len(commands)]
        stop = chosen.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        code, err = _interrupted(cli, command, stop, chosen.uniform(0, 0.5))
        made, files = len(cli.files()) - files, len(cli.files())

        assert code in {0, 130}, (command, stop, err)
        assert "Traceback" not in err, err
        assert "Exception ignored" not in err, err
        if command[:2] == ("backup", "create"):
            assert made == (2 if code == 0 else 0), (code, err)


def _interrupted(cli, command, number, seconds):
    """Send a signal some time after the program has begun to care for signals."""
    with cli.start(*command) as process:
        wait_until(lambda: process.poll() is not None or _cares(process.pid), "it begins")
        time.sleep(seconds)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    return process.returncode, err


def _cares(pid: int) -> bool:
    """Tell whether SIGTERM is caught: before that it is the interpreter that starts."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_an_umask_that_takes_all_away_leaves_files_to_their_owner(cli, database):
    """Files are 0600 and directories 0700, whatever the umask says."""
    cli.wrapper = ("/bin/sh", "-c", 'umask 777; exec "$0" "$@"')
    made = cli.json("backup", "create", "--database", database)
    cli.wrapper = ()
    modes = {path.stat().st_mode & 0o777 for path in cli.backups.iterdir()}

    assert made["success"]
    assert modes == {0o600}
    assert cli.backups.stat().st_mode & 0o777 == 0o700
    assert PROGRAM.exists()
