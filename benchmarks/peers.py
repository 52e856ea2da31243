"""The contestants: what a user of each program would type."""

import json
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .contest import (
    SOURCE,
    TARGET,
    Contestant,
    ContestantFailedError,
    empty,
    fresh_target,
    has_output,
    quoted,
    same_rows,
)
from .server import BenchServer


THREADS = 2
# A smaller share of the plain SQL has lost data: ten thousand tables, the most repetitive of all,
# compress to a thirteenth with zstd.
LEAST_RATIO = 0.03
_PLAIN_DUMP = "dump.sql"
CODECS = ("gzip", "zstd")
# Both ends of each codec's range, the usual ones, and those between which much changes.
LEVELS = {"gzip": (1, 3, 4, 6, 9), "zstd": (1, 3, 6, 9, 12, 15, 19)}
OUR_DEFAULT = "gzip"
# mariadb-backup holds every file of the server open; it says so itself when this is too few.
_OPEN_FILES = 65_536


@dataclass(frozen=True, slots=True)
class Arena:
    """
    Where the contest takes place.

    Attributes:
        server: Holds the source database.
        work: Directory for outputs and dumps, ours to empty.
        backstay: The program of this project; None when it is not built.
        mydumper: A newer mydumper, besides the packaged one; None when there is none.
        raw_bytes: Size of the source as plain SQL.
        least_bytes: A smaller backup has lost data.
    """

    server: BenchServer
    work: Path
    backstay: Path | None
    mydumper: Path | None
    raw_bytes: int
    least_bytes: int


def write_plain_dump(server: BenchServer, work: Path) -> int:
    """Write the source as plain SQL with mariadb-dump and return its size in bytes."""
    path = work / _PLAIN_DUMP
    subprocess.run([*_client("mariadb-dump", server), f"--result-file={path}", SOURCE], check=True)
    return path.stat().st_size


def of_backup(arena: Arena) -> list[Contestant]:
    """
    List the programs that write a backup.

    Returns:
        Contestants in the order of a round, ours first.
    """
    dump = quoted(*_client("mariadb-dump", arena.server), SOURCE)
    contestants = [
        _piped(arena, "mariadb-dump | gzip", f"{dump} | gzip"),
        _piped(arena, "mariadb-dump | zstd -1", f"{dump} | zstd -q -1"),
        _mydumper(arena, "mydumper -c (Debian)", Path("mydumper"), "-c"),
        _physical(arena),
    ]
    if arena.mydumper:
        contestants += [
            _mydumper(arena, "mydumper gzip (MYDUMPER)", arena.mydumper, "--compress=gzip"),
            _mydumper(arena, "mydumper zstd (MYDUMPER)", arena.mydumper, "--compress=zstd"),
        ]
    if arena.backstay:
        contestants = of_our_backup(arena, arena.backstay) + contestants
    return contestants


def of_restore(arena: Arena) -> list[Contestant]:
    """
    List the programs that restore, ours first; make each one's own backup, untimed.

    Args:
        arena: Its work directory has the plain dump.

    Returns:
        Contestants in the order of a round.
    """
    check = same_rows(arena.server, arena.server.row_counts(SOURCE))
    contestants = [
        Contestant(
            name="mariadb < dump.sql",
            command=f"{quoted(*_client('mariadb', arena.server), TARGET)} < {quoted(arena.work / _PLAIN_DUMP)}",
            prepare=fresh_target(arena.server, create=True),
            check=check,
        ),
        _myloader(arena, "myloader (Debian)", Path("mydumper")),
    ]
    if arena.mydumper:
        contestants.append(_myloader(arena, "myloader (MYDUMPER)", arena.mydumper))
    if arena.backstay:
        contestants = of_our_restore(arena, arena.backstay) + contestants
    return contestants


def of_our_backup(arena: Arena, program: Path, codecs: Sequence[str] = CODECS) -> list[Contestant]:
    """List our own backups, one a codec."""
    return [our_backup(arena, program, codec) for codec in codecs]


def of_our_levels(arena: Arena, program: Path) -> list[Contestant]:
    """List our own backups by the default, and by each level that is worth a look."""
    chosen = [(codec, level) for codec, levels in LEVELS.items() for level in levels]
    return [
        our_backup(arena, program, OUR_DEFAULT),
        *(our_backup(arena, program, codec, level) for codec, level in chosen),
    ]


def of_our_restore(arena: Arena, program: Path, codecs: Sequence[str] = CODECS) -> list[Contestant]:
    """List our own restores, one a codec; make their backups, untimed."""
    empty(arena.work / "backstay", arena.work / "state")()
    check = same_rows(arena.server, arena.server.row_counts(SOURCE))
    return [our_restore(arena, program, codec, check) for codec in codecs]


def _client(program: str, server: BenchServer) -> list[str]:
    login = [program, "--no-defaults", f"--socket={server.socket}", "--user=root"]
    if program == "mariadb-dump":
        return [*login, "--single-transaction"]
    return [*login, "--default-character-set=utf8mb4"]


def _piped(arena: Arena, name: str, command: str) -> Contestant:
    output = arena.work / "piped"
    return Contestant(
        name=name,
        command=f"{command} > {quoted(output / 'dump')}",
        prepare=empty(output),
        check=has_output(output, arena.least_bytes),
        output=output,
    )


def _login(arena: Arena) -> list[str]:
    return [f"--socket={arena.server.socket}", "--user=root", f"--threads={THREADS}"]


def _physical(arena: Arena) -> Contestant:
    """Copy the files of the whole server, which is more than the source, indexes among it."""
    scratch = arena.work / "physical"
    words = [
        "mariadb-backup",
        "--no-defaults",
        "--backup",
        "--stream=xbstream",
        f"--socket={arena.server.socket}",
        "--user=root",
        f"--datadir={arena.server.data}",
        f"--target-dir={scratch}",
        f"--open-files-limit={_OPEN_FILES}",
    ]
    piped = _piped(arena, "mariadb-backup | gzip (whole server)", f"{quoted(*words)} | gzip")

    def prepare() -> None:
        empty(scratch)()
        piped.prepare()

    return replace(piped, prepare=prepare)


def _mydumper(arena: Arena, name: str, program: Path, codec: str) -> Contestant:
    output = arena.work / "mydumper"
    words = [program, *_login(arena), codec, f"--database={SOURCE}", f"--outputdir={output}"]
    return Contestant(
        name=name,
        command=quoted(*words),
        prepare=empty(output),
        check=has_output(output, arena.least_bytes),
        output=output,
    )


def _myloader(arena: Arena, name: str, mydumper: Path) -> Contestant:
    dump = arena.work / f"for_{name.rsplit(maxsplit=1)[-1].strip('()')}"
    empty(dump)()
    words = [mydumper, *_login(arena), "-c", f"--database={SOURCE}", f"--outputdir={dump}"]
    _, failure = run(words)
    myloader = mydumper.with_name("myloader")
    return Contestant(
        name=name,
        command=quoted(myloader, *_login(arena), f"--database={TARGET}", f"--directory={dump}"),
        prepare=_refused(failure) if failure else fresh_target(arena.server, create=True),
        check=same_rows(arena.server, arena.server.row_counts(SOURCE)),
    )


def backstay(arena: Arena, program: Path, *words: str, settings: Sequence[str] = ()) -> str:
    """Return a command of ours for the arena, with more settings where they are given."""
    usual = [
        f"BACKSTAY_DATABASE_URL=mysql://root@localhost/?unix_socket={arena.server.socket}",
        f"BACKSTAY_BACKUP_DIR={arena.work / 'backstay'}",
        f"BACKSTAY_STATE_DIR={arena.work / 'state'}",
    ]
    return quoted("env", *usual, *settings, program, *words)


def our_backup(
    arena: Arena,
    program: Path,
    codec: str,
    level: int | None = None,
    *,
    settings: Sequence[str] = (),
    suffix: str = "",
) -> Contestant:
    """Describe a backup of ours on the disk, with more settings and what they make of its name."""
    output = arena.work / "backstay"
    words = ["backup", "create", "--database", SOURCE, "--codec", codec, "--json"]
    if level is not None:
        words += ["--level", str(level)]
    return Contestant(
        name=f"backstay {codec}" + (f" {level}" if level is not None else "") + suffix,
        command=backstay(arena, program, *words, settings=settings),
        # What it knows of the directory goes, too: one that was lost is refused.
        prepare=empty(output, arena.work / "state"),
        check=has_output(output, arena.least_bytes),
        output=output,
    )


def our_restore(
    arena: Arena,
    program: Path,
    codec: str,
    check: Callable[[], None],
    *,
    settings: Sequence[str] = (),
    suffix: str = "",
) -> Contestant:
    """Describe a restore of ours from the disk, as `our_backup`; makes its backup, untimed."""
    words = ["backup", "create", "--database", SOURCE, "--codec", codec, "--json"]
    said, failure = run(shlex.split(backstay(arena, program, *words, settings=settings)))
    backup_id = "" if failure else str(json.loads(said)["backup_id"])
    words = ["restore", "run", backup_id, "--into", TARGET, "--json"]
    return Contestant(
        name=f"backstay {codec}{suffix}",
        command=backstay(arena, program, *words, settings=settings),
        prepare=_refused(failure) if failure else fresh_target(arena.server, create=False),
        check=check,
    )


def run(words: Sequence[object]) -> tuple[str, str]:
    """Make what a restore needs; returns what the command said, and why it failed or nothing."""
    try:
        done = subprocess.run(
            [str(word) for word in words], check=False, capture_output=True, text=True
        )
    except OSError as error:
        return "", f"no backup to restore: {error}"
    if done.returncode:
        return "", f"no backup to restore: {done.stderr.strip()}"
    return done.stdout, ""


def _refused(reason: str) -> Callable[[], None]:
    """Make a step that disqualifies a contestant, and no other one."""

    def step() -> None:
        raise ContestantFailedError(reason)

    return step
