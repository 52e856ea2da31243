"""The stores of an installation: listed, opened by name, and tried."""

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from app.concurrency import Bound, run_in_thread
from app.domain.ports import Clock
from app.domain.store_trial import StoreFacts, StoreTrial
from app.errors import AlreadyRunningError
from app.services.stores.trial import Trial
from app.storage.remote.definitions import (
    AnyDefinition,
    LocalDefinition,
    S3Definition,
    SftpDefinition,
    WithEndpoint,
)
from app.storage.remote.opening import open_store
from app.storage.remote.reading import Definitions, find_definition, read_definitions
from app.storage.remote.store import Store


class StoreService:
    """
    Stores by their names; they are read anew each time, so that a change counts at once.

    Args:
        state_dir: Where `stores.toml` is.
        addresses: What `BACKSTAY_STORES` says.
        find_variable: Finds the variables that hold secrets.
        clock: Of this machine.
    """

    def __init__(
        self,
        state_dir: Path,
        addresses: str,
        find_variable: Callable[[str], str | None],
        clock: Clock,
    ) -> None:
        self._state_dir = state_dir
        self._addresses = addresses
        self._find_variable = find_variable
        self._clock = clock
        # Each takes a thread and ten megabytes for as long as a store that does not answer is waited for.
        self._trials = Bound("store_trials", 1)

    async def list(self) -> tuple[StoreFacts, ...]:
        """Return all stores by name; raises InvalidRequestError for a definition that makes no sense."""
        return await run_in_thread(self.list_now)

    def list_now(self) -> tuple[StoreFacts, ...]:
        """Return all stores by name; blocks, and raises as `list` does."""
        return tuple(_facts(name, definition) for name, definition in self._read().items())

    async def names(self) -> tuple[str, ...]:
        """Return the names of all stores; raises as `list` does."""
        return tuple(await run_in_thread(self._read))

    async def test(self, name: str) -> StoreTrial:
        """
        Try everything that backups need of a store.

        Args:
            name: Of the store.

        Returns:
            What was found; a failure is a finding.

        Raises:
            StoreNotFoundError: There is no such store.
            InvalidRequestError: Its definition makes no sense, or a secret is missing.
            AlreadyRunningError: Another trial is under way.
        """
        definition = find_definition(await run_in_thread(self._read), name)
        if not self._trials.take():
            raise AlreadyRunningError(
                "another test of a store is under way", hint="Wait until it is over."
            )
        try:
            return await run_in_thread(lambda: self._try(name, definition))
        finally:
            self._trials.release()

    def find(self, name: str) -> StoreFacts:
        """Return one store; blocks, raises StoreNotFoundError and as `list` does."""
        return _facts(name, find_definition(self._read(), name))

    def open(self, name: str) -> Store:
        """Open a store, which the caller closes; blocks, and raises as `test` does."""
        return self._opened(name, find_definition(self._read(), name))

    def _try(self, name: str, definition: AnyDefinition) -> StoreTrial:
        store = self._opened(name, definition)
        try:
            return Trial(store, _facts(name, definition), self._clock).run()
        finally:
            store.close()

    def _opened(self, name: str, definition: AnyDefinition) -> Store:
        return open_store(name, definition, self._find_variable)

    def _read(self) -> Definitions:
        return read_definitions(self._state_dir, self._addresses)


def _is_in_clear(definition: AnyDefinition) -> bool:
    """Tell whether a store is spoken with over a network without TLS."""
    if not isinstance(definition, WithEndpoint):
        return False
    address = urlsplit(definition.endpoint)
    return address.scheme == "http" and not _is_loopback(address.hostname or "")


def _is_offsite(definition: AnyDefinition) -> bool:
    """Tell whether a store is reached over a network, and not on this machine."""
    match definition:
        case LocalDefinition():
            return False
        case SftpDefinition():
            return not _is_loopback(definition.host)
        case WithEndpoint():
            return not _is_loopback(urlsplit(definition.endpoint).hostname or "")
        case _:
            return True


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _facts(name: str, definition: AnyDefinition) -> StoreFacts:
    return StoreFacts(
        name=name,
        kind=definition.kind,
        place=definition.place,
        append_only=definition.append_only,
        object_lock_days=definition.object_lock_days if isinstance(definition, S3Definition) else 0,
        is_in_clear=_is_in_clear(definition),
        is_offsite=_is_offsite(definition),
        retention=definition.retention,
        check_days=definition.check_days,
        drill_days=definition.drill_days,
        site=definition.site,
    )
