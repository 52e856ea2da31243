"""What a store costs: our backup and restore by S3 on the loopback, against those on the local disk."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fixtures.stores import BUCKET, KEY, SECRET, StoreServers

from .contest import SOURCE, TARGET, Contestant, ContestantFailedError, fresh_target, same_rows
from .peers import Arena, backstay, of_our_backup, of_our_restore, run


NAME = "bench"


@contextmanager
def serving(work: Path) -> Iterator[list[str]]:
    """Run a server of S3 for a block; gives the settings with which it is a store."""
    servers = StoreServers(work / "stores")
    try:
        address = f"{NAME}=s3://{BUCKET}/bench?endpoint={servers.s3}&access_key={KEY}&secret_env=S3_SECRET"
        yield [f"BACKSTAY_STORES={address}", f"S3_SECRET={SECRET}"]
    finally:
        servers.close()


def of_backup(arena: Arena, program: Path, settings: list[str]) -> list[Contestant]:
    """List the same backup on the disk and in the store."""
    words = ["backup", "create", "--database", SOURCE, "--store", NAME, "--json"]

    def check() -> None:
        said, failure = run(
            shlex.split(
                backstay(
                    arena, program, "backup", "list", "--store", NAME, "--json", settings=settings
                )
            )
        )
        if failure or not json.loads(said)["backups"]:
            raise ContestantFailedError(failure or "the store lists nothing")

    there = Contestant(
        name="backstay gzip, to S3",
        command=backstay(arena, program, *words, settings=settings),
        prepare=lambda: None,
        check=check,
    )
    return [*of_our_backup(arena, program, ["gzip"]), there]


def of_restore(arena: Arena, program: Path, settings: list[str]) -> list[Contestant]:
    """List the same restore from the disk and from the store, whose newest backup it is."""
    words = ["restore", "run", "latest", "--into", TARGET, "--store", NAME, "--json"]
    there = Contestant(
        name="backstay gzip, from S3",
        command=backstay(arena, program, *words, settings=settings),
        prepare=fresh_target(arena.server, create=False),
        check=same_rows(arena.server, arena.server.row_counts(SOURCE)),
    )
    return [*of_our_restore(arena, program, ["gzip"]), there]
