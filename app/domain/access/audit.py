"""
The audit: who changed or was refused what; a chain, each entry sealed over the one before it.

1. The digest of an entry is an HMAC-SHA256, with a key that is not in the database, over the digest
before it and the entry's own fields as canonical JSON. 2. Entries are numbered from 1 without gaps.
3. The newest number and digest, the head, are also kept outside of the database, sealed. 4. What was
removed by age ends with a checkpoint: number and digest of the last entry that went, sealed.

So nobody without the key can change, insert or replace an entry, nor remove one but by taking both the
end of the table and the head outside back to an older state. Entries of older versions have no key:
their digest is a plain SHA-256, and the first entry with a key covers them all.

Not guaranteed: anything against somebody who holds the key, but by heads that were sent elsewhere.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final


GENESIS: Final = "0" * 64
_KEY_ID_PREFIX: Final = b"backstay-audit:"
_KEY_ID_DIGITS: Final = 16
# Enough to tell whether two were the same, and nobody tries names without the key.
_FINGERPRINT_DIGITS: Final = 12
# Some hundred names; whoever sends more is told apart by a digest.
_MOST_CHANGES: Final = 16 << 10


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """
    One thing that was asked, and how it ended.

    Attributes:
        at: Aware UTC instant.
        actor: User, subject of a token, or `os:NAME` for the command line; empty = nobody proved.
        role: Their role; empty when unknown.
        address: Where from; empty for the command line.
        action: Name of the operation, such as `create_backup`.
        target: What it was about: a path without its query, or a command.
        status: HTTP status, or exit code of a command.
        result: `ok`, or the code of an error.
        run_id: The run that came of it; empty when none.
        changes: What was changed, `{"field": [old, new]}` as JSON; empty when nothing was.
        count: For how many requests it stands; more than one only for refused ones.
    """

    at: datetime
    actor: str
    role: str
    address: str
    action: str
    target: str
    status: int
    result: str
    run_id: str = ""
    changes: str = ""
    count: int = 1


_FIELDS: Final = tuple(field.name for field in fields(AuditEvent))
# What an entry without a key covers.
_OLD_FIELDS: Final = (
    "at", "actor", "role", "address", "action", "target", "status", "result", "run_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """
    One link of the chain.

    Attributes:
        number: From 1, without gaps.
        digest: Hexadecimal, over the digest before and the event.
        key_id: Which key it is sealed with; empty = none, it is of an older version.
    """

    number: int
    event: AuditEvent
    digest: str
    key_id: str = ""


class CutKind(StrEnum):
    """Why the proof begins behind an entry."""

    REMOVED = "removed"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class AuditCut:
    """
    A checkpoint: the proof begins behind it.

    Attributes:
        number: Last entry that is not proven any more.
        digest: Its digest, which the next one is sealed over.
        at: When it was made, aware UTC.
        kind: Whether the entries were removed by age, or an administrator accepted what is there.
        seal: Over all that, by the key of `key_id`.
    """

    number: int
    digest: str
    at: datetime
    kind: CutKind
    key_id: str = ""
    seal: str = ""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """
    What must be there at least.

    Attributes:
        number: Of the newest entry; 0 = none.
        digest: Its digest.
        cut: The checkpoint that must be there; 0 = none.
        seal: Over all that, by the key of `key_id`; empty in a head of an older version.
    """

    number: int
    digest: str
    cut: int = 0
    key_id: str = ""
    seal: str = ""


@dataclass(frozen=True, slots=True)
class AuditProof:
    """
    What was proven.

    Attributes:
        first: Number of the first entry that is proven; 0 when there is none.
        last: Of the last one.
        digest: Of the last one; with its number it is the head.
        unkeyed: How many of them have no key of their own.
        cut: The checkpoint before the first; None = nothing was ever removed or accepted.
    """

    first: int
    last: int
    digest: str
    unkeyed: int
    cut: AuditCut | None

    @property
    def entries(self) -> int:
        """How many entries are proven."""
        return self.last - self.first + 1 if self.last else 0


class ChangeNote:
    """
    What somebody has changed, for the audit; filled by whoever changes it.

    Attributes:
        text: `{"field": [old, new]}` as JSON, of what differs; empty when nothing does.
    """

    def __init__(self) -> None:
        self.text = ""

    def take(self, before: Mapping[str, object] | None, after: Mapping[str, object] | None) -> None:
        """Note how something was, None = it was not, and how it is; values are what JSON has."""
        old, new = before or {}, after or {}
        changes = {
            name: [old.get(name), new.get(name)]
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        }
        text = _canonical(changes) if changes else ""
        if len(text) > _MOST_CHANGES:
            digests = [
                hashlib.sha256(_canonical(facts).encode()).hexdigest() for facts in (old, new)
            ]
            text = _canonical({"too long, as SHA-256": digests})
        self.text = text


@dataclass(frozen=True, slots=True)
class AuditKey:
    """A key that seals entries."""

    secret: bytes = field(repr=False)

    @property
    def key_id(self) -> str:
        """Its name, which tells nothing of it."""
        return hashlib.sha256(_KEY_ID_PREFIX + self.secret).hexdigest()[:_KEY_ID_DIGITS]


class AuditSeals:
    """
    Seals with the newest key, and tells whether a seal of any of them is good.

    Attributes:
        key_id: Of the key that seals.
    """

    def __init__(self, keys: Sequence[AuditKey]) -> None:
        """Take the keys; the first one seals."""
        self._keys = {key.key_id: key for key in keys}
        self.key_id = keys[0].key_id

    def knows(self, key_id: str) -> bool:
        """Tell whether a key is here; entries without one need none."""
        return not key_id or key_id in self._keys

    def link(self, number: int, event: AuditEvent, previous: str) -> AuditEntry:
        """Make the next link of the chain."""
        digest = self._digest(self.key_id, number, event, previous)
        return AuditEntry(number, event, digest, self.key_id)

    def is_whole(self, entry: AuditEntry, previous: str) -> bool:
        """Tell whether an entry is what was written after the one with this digest."""
        digest = self._digest(entry.key_id, entry.number, entry.event, previous)
        return hmac.compare_digest(digest, entry.digest)

    def cut(self, cut: AuditCut) -> AuditCut:
        """Seal a checkpoint."""
        seal = self._mac(self.key_id, "cut", _of_cut(cut))
        return AuditCut(cut.number, cut.digest, cut.at, cut.kind, self.key_id, seal)

    def is_cut(self, cut: AuditCut) -> bool:
        """Tell whether a checkpoint was sealed with a key that is here."""
        return self._is_mac(cut.key_id, cut.seal, "cut", _of_cut(cut))

    def head(self, head: AuditHead) -> AuditHead:
        """Seal a head."""
        seal = self._mac(self.key_id, "head", _of_head(head))
        return AuditHead(head.number, head.digest, head.cut, self.key_id, seal)

    def is_head(self, head: AuditHead) -> bool:
        """Tell whether a head was sealed with a key that is here."""
        return self._is_mac(head.key_id, head.seal, "head", _of_head(head))

    def fingerprint(self, text: str) -> str:
        """Return what tells whether two texts are the same, and nothing else to nobody without the key."""
        mac = self._mac(self.key_id, "text", text.encode(errors="surrogatepass").hex())
        return mac[:_FINGERPRINT_DIGITS]

    def _digest(self, key_id: str, number: int, event: AuditEvent, previous: str) -> str:
        if not key_id:
            return seal(number, event, previous).digest
        fields = {**_fields(event), "number": number, "key_id": key_id}
        return self._mac(key_id, "entry", f"{previous}\n{_canonical(fields)}")

    def _mac(self, key_id: str, use: str, text: str) -> str:
        # The use is covered: no seal of one kind is good for another.
        message = f"{use}\n{text}".encode()
        return hmac.new(self._keys[key_id].secret, message, hashlib.sha256).hexdigest()

    def _is_mac(self, key_id: str, mac: str, use: str, text: str) -> bool:
        return key_id in self._keys and hmac.compare_digest(self._mac(key_id, use, text), mac)


def seal(number: int, event: AuditEvent, previous: str) -> AuditEntry:
    """Make the next link as older versions did, without a key."""
    every = _fields(event)
    fields = {name: every[name] for name in _OLD_FIELDS} | {"number": number}
    digest = hashlib.sha256(f"{previous}\n{_canonical(fields)}".encode()).hexdigest()
    return AuditEntry(number, event, digest)


def _fields(event: AuditEvent) -> dict[str, object]:
    # Without `asdict`, which copies each value: a proof makes these of every entry.
    return {name: getattr(event, name) for name in _FIELDS} | {"at": _instant(event.at)}


def _of_cut(cut: AuditCut) -> str:
    return _canonical({
        "number": cut.number, "digest": cut.digest, "at": _instant(cut.at), "kind": cut.kind,
    })  # fmt: skip


def _of_head(head: AuditHead) -> str:
    return _canonical({"number": head.number, "digest": head.digest, "cut": head.cut})


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _canonical(fields: Mapping[str, object]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
