"""
`metadata.json`: the catalogue in the shape of `docs/format.md`, which programs of others read.

A cache of the manifests, one value a backup id. Each value tells which manifest it was made from
and carries its own digest: whatever does not fit is made again, so nothing is lost with the file.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Final

from pydantic import JsonValue, ValidationError

from app.domain.backups.backup import CatalogueEntry
from app.domain.document import adapter_of


# 10,000 backups take about 10 MB.
MAX_METADATA_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Stamp:
    """
    Tells one state of a manifest file from another without reading it.

    Attributes:
        size: Bytes.
        mtime_ns: Time of change, nanoseconds.
    """

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class CachedEntry:
    """One value of the file."""

    entry: CatalogueEntry
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Metadata:
    """
    What can be used of the file.

    Attributes:
        entries: By name of the data file, in the order of the file.
        whole: Whether that is all that it holds.
    """

    entries: Mapping[str, CachedEntry]
    whole: bool

    def holds(self, cached: Sequence[CachedEntry]) -> bool:
        """Tell whether it is up to date, without encoding anything."""
        return self.whole and list(self.entries.values()) == cached


# What stands under "options" in the file; all other fields stand beside it.
_OPTIONS: Final = ("include_data", "compress", "verify", "description")


def encode_metadata(cached: Iterable[CachedEntry]) -> bytes:
    """Encode the catalogue as indented JSON, in the given order."""
    values = {item.entry.backup_id: _value_of(item) for item in cached}
    return json.dumps(values, indent=4, ensure_ascii=False).encode() + b"\n"


def decode_metadata(data: bytes) -> Metadata:
    """Decode what can be used of the file; the rest is left out."""
    try:
        values: JsonValue = json.loads(data)
    except (ValueError, RecursionError):
        return Metadata({}, whole=False)
    if not isinstance(values, dict):
        return Metadata({}, whole=False)
    cached = [_item_of(value) for value in values.values()]
    known = {item.entry.file: item for item in cached if item is not None}
    return Metadata(known, whole=len(known) == len(values))


def _value_of(item: CachedEntry) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = adapter_of(CatalogueEntry).dump_python(item.entry, mode="json")
    moment = item.entry.created_at.astimezone(UTC)
    value: dict[str, JsonValue] = {
        "backup_id": item.entry.backup_id,
        "file": item.entry.file,
        "full_path": item.entry.full_path,
        "size": item.entry.size,
        "created_at": f"{moment:%Y-%m-%d %H:%M:%S}",
        "duration": item.entry.duration,
        "options": {key: fields.pop(key) for key in _OPTIONS},
        "tables_count": item.entry.tables_count,
        "checksum": item.entry.checksum,
        "instant": fields.pop("created_at"),
    }
    value.update((key, field) for key, field in fields.items() if key not in value)
    value["manifest"] = asdict(item.stamp)
    value["seal"] = _seal(value)
    return value


def _item_of(value: JsonValue) -> CachedEntry | None:
    if not isinstance(value, dict):
        return None
    fields = dict(value)
    seal, stamp, options = fields.pop("seal", None), fields.get("manifest"), fields.get("options")
    if seal != _seal(fields) or not isinstance(options, dict) or not isinstance(stamp, dict):
        return None
    fields["created_at"] = fields.get("instant")
    names = CatalogueEntry.__dataclass_fields__
    known = {key: field for key, field in {**fields, **options}.items() if key in names}
    try:
        entry = adapter_of(CatalogueEntry).validate_json(json.dumps(known))
        return CachedEntry(entry, adapter_of(Stamp).validate_python(stamp))
    except ValidationError:
        return None


def _seal(value: dict[str, JsonValue]) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(canonical).hexdigest()
