"""
A trial of a store: everything that backups need of it is done once, with objects of its own.

1. List, which is the first thing that can go wrong: address, key, rights.
2. Write, and write anew what is there: the second must be refused, and change nothing.
3. Read a range; find what was written in the list; compare clocks.
4. Send an object in parts, and abort another, of which nothing may be left.
5. Where the store shall keep objects: write one that it keeps, whose deletion must be refused until then.
6. Delete. What is left, where the key may not delete, is named.

Not guaranteed: that a rule of the store, which cannot be asked for, does what it should.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from secrets import token_bytes, token_hex
from typing import Final

from app.domain.monitoring import CheckState
from app.domain.places.sizes import size
from app.domain.ports import Clock
from app.domain.store_trial import StoreCheck, StoreFacts, StoreTrial
from app.errors import (
    AlreadyThereError,
    AppError,
    ChecksumMismatchError,
    ObjectLockedError,
    StorageDeniedError,
    StorageError,
)
from app.storage.remote.store import Store


# Whatever has this in its name is of a trial, and may be deleted by hand.
PREFIX: Final = "store-test-"
# The least that S3 takes for a part that is not the last.
_PART_BYTES: Final = 5 << 20
_SMALL_BYTES: Final = 1000
_MOST_SKEW_SECONDS: Final = 60.0
# Longer than the requests take that try to delete what is kept.
_KEPT_SECONDS: Final = 4.0
_KEPT_LONGER_SECONDS: Final = 2.0
_FAIL: Final = CheckState.FAIL
_OF_KIND: Final = {
    "gcs": "Google does not show others' uploads: add a lifecycle rule to the bucket that aborts incomplete"
    " multipart uploads after 7 days.",
    "azure": "",
}


class Trial:
    """
    One trial.

    Args:
        store: What is tried; every call blocks.
        facts: How it is defined.
        clock: Of this machine.
    """

    def __init__(self, store: Store, facts: StoreFacts, clock: Clock) -> None:
        self._store = store
        self._facts = facts
        self._clock = clock
        self._checks: list[StoreCheck] = []
        self._written: list[str] = []
        self._skew: float | None = None
        self._data = token_bytes(_SMALL_BYTES)
        self._written_at = clock.now()
        self._name = f"{PREFIX}{token_hex(8)}"

    def run(self) -> StoreTrial:
        """Try everything; what a trial writes is removed, whatever happens."""
        try:
            if self._facts.is_in_clear:
                self._doubted(
                    "encryption",
                    "the store is spoken with over a network without TLS",
                    "Use an endpoint with https://: others on the way can read and change what is sent.",
                )
            if self._made(self._list, "list") and self._made(self._write, "write"):
                self._made(self._create, "write once")
                self._made(self._read, "read")
                self._made(self._find, "find")
                self._made(self._measure, "space")
                self._made(self._compare_clocks, "clock")
                self._made(self._send, "send in parts")
                self._made(self._abort, "abort")
                if self._facts.object_lock_days:
                    self._made(self._keep, "object lock")
                self._made(self._delete, "delete")
        finally:
            self._clean()
        return StoreTrial(self._facts, tuple(self._checks), self._skew)

    def _made(self, check: Callable[[], None], name: str) -> bool:
        """Make a check; returns whether it went well."""
        try:
            check()
        except AppError as exc:
            self._checks.append(StoreCheck(name, _FAIL, f"{exc.title}: {exc}", exc.hint, exc))
            return False
        return True

    def _found(self, name: str, detail: str) -> None:
        self._checks.append(StoreCheck(name, CheckState.OK, detail))

    def _doubted(self, name: str, detail: str, remedy: str) -> None:
        self._checks.append(StoreCheck(name, CheckState.WARN, detail, remedy))

        # -- checks -------------------------------------------------------------------------------------

    def _list(self) -> None:
        next(self._store.list(PREFIX), None)
        self._found("list", "the store can be reached, and listed")

    def _write(self) -> None:
        self._written.append(self._name)
        before = self._clock.now()
        self._store.put(self._name, self._data, create=True)
        self._written_at = before + (self._clock.now() - before) / 2
        self._found("write", f"{size(len(self._data))} were written")

    def _create(self) -> None:
        try:
            self._store.put(self._name, b"another", create=True)
        except AlreadyThereError:
            if self._store.read(self._name, 0, len(self._data)) != self._data:
                raise StorageError(
                    f"{self._name}: the store refused to overwrite it, and did",
                    hint="Backups are not safe there.",
                ) from None
            self._found("write once", "what is there is not overwritten by what shall be new")
        else:
            self._store.put(self._name, self._data)
            raise StorageError(
                f"{self._name}: the store overwrites what shall be new",
                hint="It takes no conditional requests (If-None-Match): use a newer version of it, or another.",
            )

    def _read(self) -> None:
        if self._store.read(self._name, 100, 200) != self._data[100:300]:
            raise ChecksumMismatchError(
                f"{self._name}: other bytes came back than were written",
                hint="Look what stands between: a proxy that changes answers, or a cache.",
            )
        self._found("read", "a range came back as it was written")

    def _measure(self) -> None:
        free = self._store.free_bytes()
        if free is not None:
            self._found("space", f"{size(free)} are free")

    def _find(self) -> None:
        found = {stored.name: stored.size for stored in self._store.list(self._name)}
        if found.get(self._name) != len(self._data):
            raise StorageError(
                f"{self._name}: what was written is not in the list",
                hint="Use a store whose lists are consistent: backups are found by them.",
            )
        self._found("find", "what was written is in the list")

    def _compare_clocks(self) -> None:
        found = self._store.stat(self._name)
        if found is None:
            raise StorageError(f"{self._name}: what was written is not there any more")
        there = found.modified_at
        # Where it is told in whole seconds, they are cut off.
        cut_off = timedelta() if there.microsecond else timedelta(seconds=0.5)
        self._skew = round((there + cut_off - self._written_at).total_seconds(), 1)
        off = timedelta(seconds=round(abs(self._skew)))
        detail = f"the store's clock is {off} {'ahead' if self._skew > 0 else 'behind'}"
        if abs(self._skew) <= _MOST_SKEW_SECONDS:
            self._found("clock", detail if off else "the store's clock is right to the second")
        else:
            self._doubted(
                "clock",
                detail,
                "Set the clock of this machine right, by NTP: from 15 minutes on the store refuses us.",
            )

    def _send(self) -> None:
        name = f"{self._name}-parts"
        self._written.append(name)
        data = token_bytes(_PART_BYTES + 1000)
        with self._store.begin(name, _PART_BYTES) as upload:
            upload.write(data)
            upload.complete()
        tail = self._store.read(name, _PART_BYTES - 500, 1500)
        if tail != data[-1500:]:
            raise ChecksumMismatchError(
                f"{name}: other bytes came back than were sent in parts",
                hint="Look what stands between: a proxy that changes answers, or a cache.",
            )
        self._found(
            "send in parts", f"{size(len(data))} were sent in two parts and read at their border"
        )

    def _abort(self) -> None:
        name = f"{self._name}-aborted"
        self._written.append(name)
        with self._store.begin(name, _PART_BYTES) as upload:
            upload.write(token_bytes(_PART_BYTES + 1000))
        if self._store.stat(name) is not None:
            raise StorageError(f"{name}: what was aborted is there")
        if not self._store.lists_unfinished:
            remedy = _OF_KIND[self._facts.kind]
            if remedy:
                self._doubted("abort", "an upload was aborted; those of a crash stay", remedy)
            else:
                self._found("abort", "an upload was aborted; those of a crash go after a week")
            return
        ahead = timedelta(days=1)
        left = [
            found
            for found in self._store.unfinished(self._store.now() + ahead)
            if found.name == name
        ]
        for found in left:
            self._store.abort_unfinished(found)
        if left:
            raise StorageError(f"{name}: the upload was still there after it was aborted")
        self._found("abort", "an upload was aborted, and nothing is left of it")

    def _keep(self) -> None:
        name = f"{self._name}-kept"
        self._written.append(name)
        now = self._store.now()
        self._store.put(
            name, b"kept", create=True, retain_until=now + timedelta(seconds=_KEPT_SECONDS)
        )
        until = now + timedelta(seconds=_KEPT_SECONDS + _KEPT_LONGER_SECONDS)
        self._store.retain(name, until)
        try:
            self._store.delete(name)
        except ObjectLockedError:
            self._found("object lock", "the store refused a deletion before its time")
        else:
            raise StorageError(
                f"{name}: the store deleted what it should keep",
                hint="Switch object lock on for the bucket; that must be done when it is made.",
            )
        finally:
            self._await(until)

    def _await(self, until: datetime) -> None:
        """Wait until what is kept may be deleted; a store that cannot tell the time is not waited for."""
        with suppress(AppError):
            left = (until - self._store.now()).total_seconds()
            time.sleep(min(max(left, 0.0) + 1.0, _KEPT_SECONDS + _KEPT_LONGER_SECONDS + 2.0))

    def _delete(self) -> None:
        try:
            self._store.delete(self._name)
        except StorageDeniedError:
            if not self._facts.append_only:
                raise
            self._found("delete", "the store refuses it, as it shall")
            return
        if self._store.stat(self._name) is not None:
            raise StorageError(f"{self._name}: what was deleted is there")
        if self._facts.append_only:
            self._doubted(
                "delete",
                "the key may delete, although the store shall be append-only",
                "Take the right to delete from the key; who has it can delete every backup there.",
            )
        else:
            self._found("delete", "what was written was deleted")

    def _clean(self) -> None:
        """Remove what was written, and say what could not be."""
        left = [name for name in self._written if not self._is_removed(name)]
        if left:
            self._doubted(
                "clean up",
                f"{len(left)} objects of this test are left: {', '.join(left)}",
                "A lifecycle rule, or somebody who may delete there, removes them.",
            )

    def _is_removed(self, name: str) -> bool:
        try:
            self._store.delete(name)
        except AppError:
            with suppress(AppError):
                return self._store.stat(name) is None
            return False
        return True
