"""What a store and encryption cost: our backup and restore by S3 on the loopback, and encrypted, against plain ones on the disk."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.age.x25519 import Identity
from tests.fixtures.store_programs import BUCKET, KEY, SECRET
from tests.fixtures.stores import StoreServers

from .contest import (
    SOURCE,
    TARGET,
    Contestant,
    ContestantFailedError,
    empty,
    fresh_target,
    same_rows,
)
from .peers import OUR_DEFAULT, Arena, backstay, our_backup, our_restore, run
from .scores import OURS, Score


# Of a median to that of what it is compared with.
GOAL: Final = 1.25
_PLAIN, _SEALED = "bench", "sealed"
_SEALED_SUFFIX, _THERE = ", encrypted", {"backup": ", to S3", "restore": ", from S3"}


@dataclass(frozen=True, slots=True)
class Places:
    """
    The stores, and the key.

    Attributes:
        stores: Settings that define both, each for backups of one kind, so that the newest is of that kind.
        key: Settings with which backups are encrypted, and read again.
    """

    stores: Sequence[str]
    key: Sequence[str]

    def of(self, *, is_sealed: bool) -> tuple[str, list[str]]:
        """Return the store of plain or encrypted backups, and all settings that these need."""
        if is_sealed:
            return _SEALED, [*self.stores, *self.key]
        return _PLAIN, [*self.stores]


@contextmanager
def serving(work: Path) -> Iterator[Places]:
    """Run a server of S3 for a block."""
    servers = StoreServers(work / "stores")
    try:
        rest = f"?endpoint={servers.s3}&access_key={KEY}&secret_env=S3_SECRET"
        both = " ".join(f"{name}=s3://{BUCKET}/{name}{rest}" for name in (_PLAIN, _SEALED))
        identity = Identity.new()
        yield Places(
            [f"BACKSTAY_STORES={both}", f"S3_SECRET={SECRET}"],
            [
                f"BACKSTAY_ENCRYPT_TO={identity.recipient}",
                f"BACKSTAY_IDENTITY={identity.secret_text()}",
            ],
        )
    finally:
        servers.close()


def of_backup(arena: Arena, program: Path, places: Places) -> list[Contestant]:
    """List the same backup on the disk and in the store, plain and encrypted."""
    return [
        our_backup(arena, program, OUR_DEFAULT),
        our_backup(arena, program, OUR_DEFAULT, settings=places.key, suffix=_SEALED_SUFFIX),
        _backup_there(arena, program, places, is_sealed=False),
        _backup_there(arena, program, places, is_sealed=True),
    ]


def _backup_there(arena: Arena, program: Path, places: Places, *, is_sealed: bool) -> Contestant:
    store, settings = places.of(is_sealed=is_sealed)
    listing = backstay(
        arena, program, "backup", "list", "--store", store, "--json", settings=settings
    )

    def check() -> None:
        said, failure = run(shlex.split(listing))
        if failure or not json.loads(said)["backups"]:
            raise ContestantFailedError(failure or "the store lists nothing")

    words = ["backup", "create", "--database", SOURCE, "--store", store, "--json"]
    return Contestant(
        name=f"{OURS}{_THERE['backup']}{_SEALED_SUFFIX if is_sealed else ''}",
        command=backstay(arena, program, *words, settings=settings),
        prepare=lambda: None,
        check=check,
    )


def of_restore(arena: Arena, program: Path, places: Places) -> list[Contestant]:
    """List the same restore from the disk and from each store, whose newest backup it is."""
    empty(arena.work / "backstay", arena.work / "state")()
    check = same_rows(arena.server, arena.server.row_counts(SOURCE))
    found = [
        our_restore(arena, program, OUR_DEFAULT, check),
        our_restore(arena, program, OUR_DEFAULT, check, settings=places.key, suffix=_SEALED_SUFFIX),
    ]
    for is_sealed in (False, True):
        store, settings = places.of(is_sealed=is_sealed)
        if is_sealed:  # by the key that signs now; that of before went with its state
            words = ["backup", "create", "--database", SOURCE, "--store", store, "--json"]
            run(shlex.split(backstay(arena, program, *words, settings=settings)))
        words = ["restore", "run", "latest", "--into", TARGET, "--store", store, "--json"]
        there = Contestant(
            name=f"{OURS}{_THERE['restore']}{_SEALED_SUFFIX if is_sealed else ''}",
            command=backstay(arena, program, *words, settings=settings),
            prepare=fresh_target(arena.server, create=False),
            check=check,
        )
        found.append(there)
    return found


def ratios(scores: Sequence[Score]) -> dict[str, float]:
    """Compare medians: the store with the disk, and what is encrypted with what is not, in both places."""
    seconds = {score.name: score.median_seconds for score in scores if score.runs}
    names = {score.name for score in scores}
    there = next((part for part in _THERE.values() if OURS + part in names), "")
    pairs = {
        "S3 against the disk": (OURS + there, OURS),
        "encrypted against plain": (OURS + _SEALED_SUFFIX, OURS),
        "encrypted against plain, S3": (OURS + there + _SEALED_SUFFIX, OURS + there),
    }
    return {
        what: round(seconds[measured] / seconds[base], 3)
        for what, (measured, base) in pairs.items()
        if measured in seconds and base in seconds
    }


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Lay the ratios of each part out as a Markdown table, each beside its goal."""
    lines = ["| part | ratio | measured | goal |", "|---|---|---|---|"]
    for part, ratios_of_part in found.items():
        for what, ratio in ratios_of_part.items():
            verdict = f"<= {GOAL}" if ratio <= GOAL else f"<= {GOAL}, missed"
            lines.append(f"| {part} | {what} | {ratio:.2f} | {verdict} |")
    return "\n".join(lines)
