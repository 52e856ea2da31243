"""Stores as backup directories, put together."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.keys import NO_KEYS, ArchiveKeys
from app.bootstrap.encryption import build_known_lines
from app.config import Settings, find_variable
from app.errors import InvalidRequestError
from app.storage.local import LocalDirectory
from app.storage.remote.credentials import stamp_of
from app.storage.remote.definitions import AnyDefinition, LocalDefinition
from app.storage.remote.directory import StoreDirectory
from app.storage.remote.opening import open_store
from app.storage.remote.reading import find_definition, read_definitions
from app.storage.run_locks import RunLocks


# Keys of a session are new every hour, and nobody reads one backup for longer than so many of them.
_MOST_FORMER: Final = 24


class StoreCatalogues:
    """
    The catalogues of stores, each opened when it is first asked for.

    It is opened anew when its definition or a secret was changed; what it was before is kept for those who still read
    there, and closed when it was changed many times since. All calls block; they may come from several threads.
    """

    def __init__(
        self,
        settings: Settings,
        keys: ArchiveKeys = NO_KEYS,
        accepted: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._accepted = accepted
        self._turn = Lock()
        self._open: dict[str, tuple[tuple[AnyDefinition, str], Catalogue]] = {}
        # Of what was changed, the oldest first.
        self._former: dict[str, list[Catalogue]] = {}

    def get(self, name: str) -> Catalogue:
        """
        Find the catalogue of a store.

        Returns:
            It; nothing is asked of the store yet.

        Raises:
            StoreNotFoundError: There is none of this name.
            InvalidRequestError: Its definition makes no sense, or a secret is missing.
            StorageError: The state directory cannot be read or written.
        """
        state, addresses = self._settings.state_dir, self._settings.stores.get_secret_value()
        definition = find_definition(read_definitions(state, addresses), name)
        current = (definition, stamp_of(definition, find_variable))
        with self._turn:
            known = self._open.get(name)
            if known is not None and known[0] == current:
                return known[1]
            if known is not None:
                self._retire(name, known[1])
            catalogue = Catalogue(
                self._directory(name, definition),
                self._keys,
                build_known_lines(self._settings, self._accepted, _locks_of(definition)),
            )
            self._open[name] = (current, catalogue)
            return catalogue

    def close(self) -> None:
        """Close all of them."""
        with self._turn:
            former = [catalogue for found in self._former.values() for catalogue in found]
            for catalogue in (*former, *(found for _, found in self._open.values())):
                catalogue.close()
            self._former.clear()
            self._open.clear()

    def _retire(self, name: str, catalogue: Catalogue) -> None:
        """Keep one that was changed, and close the one that nobody can be reading in any more."""
        former = self._former.setdefault(name, [])
        former.append(catalogue)
        if len(former) > _MOST_FORMER:
            former.pop(0).close()

    def _directory(self, name: str, definition: AnyDefinition) -> StoreDirectory:
        state = self._settings.state_dir
        if isinstance(definition, LocalDefinition):
            _require_apart(name, definition.path, (self._settings.backup_dir, state))
        return StoreDirectory(
            name,
            definition.place,
            open_store(name, definition, find_variable),
            LocalDirectory(state / "stores" / _locks_of(definition)),
            owner=RunLocks(state).owner(),
            append_only=definition.append_only,
            lock_days=getattr(definition, "object_lock_days", 0),
        )


def _locks_of(definition: AnyDefinition) -> str:
    """Name the locks of a place, whatever names it has: a store may be defined twice."""
    place = definition.place
    if isinstance(definition, LocalDefinition):
        place = str(definition.path.resolve())
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def _require_apart(name: str, path: Path, ours: Sequence[Path]) -> None:
    """Refuse a store in, around, or in the place of a directory whose locks it would not see."""
    there = path.resolve()
    for directory in (own.resolve() for own in ours):
        if there == directory or there in directory.parents or directory in there.parents:
            raise InvalidRequestError(
                f"store {name}: it lies in the backup or state directory, or around it",
                hint="A copy there is none. Name a directory of another disk.",
            )
