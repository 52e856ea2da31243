"""The contestants: what a user of each program would type."""

import json
import shlex
import subprocess
from dataclasses import dataclass
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
# A dump below a tenth of its raw size lost data: the shop compresses to about a third.
LEAST_RATIO = 0.1


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
    """

    server: BenchServer
    work: Path
    backstay: Path | None
    mydumper: Path | None
    raw_bytes: int


def write_plain_dump(server: BenchServer, path: Path) -> int:
    """Write the source as plain SQL with mariadb-dump and return its size in bytes."""
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
    ]
    if arena.mydumper:
        contestants += [
            _mydumper(arena, "mydumper gzip (MYDUMPER)", arena.mydumper, "--compress=gzip"),
            _mydumper(arena, "mydumper zstd (MYDUMPER)", arena.mydumper, "--compress=zstd"),
        ]
    if arena.backstay:
        ours = [_our_backup(arena, arena.backstay, codec) for codec in ("gzip", "zstd")]
        contestants = ours + contestants
    return contestants


def of_restore(arena: Arena, plain_dump: Path) -> list[Contestant]:
    """
    List the programs that restore, ours first; make each one's own backup, untimed.

    Args:
        arena: As above.
        plain_dump: From `write_plain_dump`.

    Returns:
        Contestants in the order of a round.
    """
    check = same_rows(arena.server, arena.server.row_counts(SOURCE))
    contestants = [
        Contestant(
            name="mariadb < dump.sql",
            command=f"{quoted(*_client('mariadb', arena.server), TARGET)} < {quoted(plain_dump)}",
            prepare=fresh_target(arena.server, create=True),
            check=check,
        ),
        _myloader(arena, "myloader (Debian)", Path("mydumper")),
    ]
    if arena.mydumper:
        contestants.append(_myloader(arena, "myloader (MYDUMPER)", arena.mydumper))
    if arena.backstay:
        backup_id = _backup_for_restore(arena, arena.backstay)
        ours = Contestant(
            name="backstay gzip",
            command=_backstay(
                arena, arena.backstay, "restore", "run", backup_id, "--into", TARGET, "--json"
            ),
            prepare=fresh_target(arena.server, create=False),
            check=check,
        )
        contestants.insert(0, ours)
    return contestants


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
        check=has_output(output, int(arena.raw_bytes * LEAST_RATIO)),
        output=output,
    )


def _login(arena: Arena) -> list[str]:
    return [f"--socket={arena.server.socket}", "--user=root", f"--threads={THREADS}"]


def _mydumper(arena: Arena, name: str, program: Path, codec: str) -> Contestant:
    output = arena.work / "mydumper"
    words = [program, *_login(arena), codec, f"--database={SOURCE}", f"--outputdir={output}"]
    return Contestant(
        name=name,
        command=quoted(*words),
        prepare=empty(output),
        check=has_output(output, int(arena.raw_bytes * LEAST_RATIO)),
        output=output,
    )


def _myloader(arena: Arena, name: str, mydumper: Path) -> Contestant:
    dump = arena.work / f"for_{name.rsplit(maxsplit=1)[-1].strip('()')}"
    empty(dump)()
    words = [mydumper, *_login(arena), "-c", f"--database={SOURCE}", f"--outputdir={dump}"]
    subprocess.run([str(word) for word in words], check=True)
    myloader = mydumper.with_name("myloader")
    return Contestant(
        name=name,
        command=quoted(myloader, *_login(arena), f"--database={TARGET}", f"--directory={dump}"),
        prepare=fresh_target(arena.server, create=True),
        check=same_rows(arena.server, arena.server.row_counts(SOURCE)),
    )


def _backstay(arena: Arena, program: Path, *words: str) -> str:
    settings = [
        f"BACKSTAY_DATABASE_URL=mysql://root@localhost/?unix_socket={arena.server.socket}",
        f"BACKSTAY_BACKUP_DIR={arena.work / 'backstay'}",
        f"BACKSTAY_STATE_DIR={arena.work / 'state'}",
    ]
    return quoted("env", *settings, program, *words)


def _our_backup(arena: Arena, program: Path, codec: str) -> Contestant:
    output = arena.work / "backstay"
    words = ["backup", "create", "--database", SOURCE, "--codec", codec, "--json"]
    return Contestant(
        name=f"backstay {codec}",
        command=_backstay(arena, program, *words),
        prepare=empty(output),
        check=has_output(output, int(arena.raw_bytes * LEAST_RATIO)),
        output=output,
    )


def _backup_for_restore(arena: Arena, program: Path) -> str:
    empty(arena.work / "backstay")()
    command = _backstay(arena, program, "backup", "create", "--database", SOURCE, "--json")
    done = subprocess.run(shlex.split(command), check=False, capture_output=True)
    if done.returncode != 0:
        raise ContestantFailedError(f"our own backup failed: {done.stderr.decode().strip()}")
    return str(json.loads(done.stdout)["backup_id"])
