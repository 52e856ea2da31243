"""
Where stores are defined: `stores.toml` in the state directory, and `BACKSTAY_STORES`.

    [offsite]
    kind = "s3"
    bucket = "backups"

is the same as `offsite=s3://backups`; both may be used, each name once. What is wrong is told by store and
key, and never shown: somebody may have written a secret where none belongs.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import ValidationError

from app.errors import InvalidRequestError, StoreNotFoundError
from app.storage.local import LocalDirectory
from app.storage.remote.definitions import KINDS, AnyDefinition


STORES_FILE: Final = "stores.toml"
VARIABLE: Final = "BACKSTAY_STORES"
_MOST_BYTES: Final = 1 << 20
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_SHOWN: Final = 40
_HINT: Final = "docs/stores.md has every key, and an example for each kind."
_SECRETS: Final = ("secret_env", "secret_file")

Definitions = Mapping[str, AnyDefinition]


def read_definitions(state_dir: Path, addresses: str) -> Definitions:
    """
    Read all stores.

    Args:
        state_dir: Where `stores.toml` may be.
        addresses: `name=kind://...`, separated by white space.

    Returns:
        Each by its name, in alphabetical order.

    Raises:
        InvalidRequestError: A table, an address or a name makes no sense.
        StorageError: The file is there and cannot be read.
    """
    found = dict(_file(state_dir))
    for word in addresses.split():
        name, definition = _address(word)
        if name in found:
            raise InvalidRequestError(f"store {name}: it is defined twice", hint=_HINT)
        found[name] = definition
    return dict(sorted(found.items()))


def find_definition(definitions: Definitions, name: str) -> AnyDefinition:
    """Return one; raises StoreNotFoundError."""
    if name not in definitions:
        nearest = difflib.get_close_matches(name[:_SHOWN], definitions, n=1)
        raise StoreNotFoundError(
            f"no store {name[:_SHOWN]!r}",
            hint=f"Did you mean {nearest[0]!r}?"
            if nearest
            else "List the stores there are with 'backstay store list'.",
        )
    return definitions[name]


def _file(state_dir: Path) -> Definitions:
    data = LocalDirectory(state_dir).find(STORES_FILE, _MOST_BYTES)
    if data is None:
        return {}
    try:
        tables = tomllib.loads(data.decode())
    except UnicodeDecodeError as exc:
        raise InvalidRequestError(f"{STORES_FILE}: it is not text in UTF-8", hint=_HINT) from exc
    except tomllib.TOMLDecodeError as exc:
        # Its message quotes nothing but the place.
        place = re.search(r"\(at [\w ,]+\)", str(exc))
        raise InvalidRequestError(
            f"{STORES_FILE}: it is no TOML {place[0] if place else ''}".rstrip(), hint=_HINT
        ) from None
    loose = [name for name, table in tables.items() if not isinstance(table, dict)]
    if loose:
        raise InvalidRequestError(
            f"{STORES_FILE}: {loose[0][:_SHOWN]} stands in no table",
            hint="Each store is a table: [NAME], and its keys below.",
        )
    return {_named(name): _define(name, table) for name, table in tables.items()}


def _address(word: str) -> tuple[str, AnyDefinition]:
    name, separator, text = word.partition("=")
    if not separator or "://" not in text:
        raise InvalidRequestError(
            f"{VARIABLE}: NAME=KIND://..., separated by white space",
            hint="Such as offsite=s3://bucket/prefix?region=eu-central-1.",
        )
    name = _named(name)
    try:
        address = urlsplit(text)
        port = address.port
    except ValueError as exc:
        raise InvalidRequestError(f"store {name}: it is no address", hint=_HINT) from exc
    if address.password is not None:
        raise InvalidRequestError(
            f"store {name}: a password stands in its address",
            hint="Take it out, it can be read by others now; name a variable or a file instead:"
            " ?secret_env=VARIABLE or ?secret_file=PATH.",
        )
    given = dict(parse_qsl(address.query))
    return name, _define(name, {**_place(address, port), **given}, is_text=True)


def _place(address: SplitResult, port: int | None) -> dict[str, str]:
    """Take the place out of an address, by its kind; unknown kinds are refused later."""
    host, path = address.hostname or "", unquote(address.path)
    place = {"kind": address.scheme}
    match address.scheme:
        case "local":
            return place | {"path": path}
        case "s3" | "gcs":
            return place | {"bucket": host, "prefix": path}
        case "azure":
            container, _, prefix = path.strip("/").partition("/")
            return place | {"account": host, "container": container, "prefix": prefix}
        case "sftp":
            user = unquote(address.username or "")
            return place | {"host": host, "port": str(port or 22), "user": user, "path": path}
        case _:
            return place


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidRequestError(
            f"{name[:_SHOWN]!r} is no name of a store",
            hint="At most 32 small letters, digits, - and _; a letter or a digit first.",
        )
    return name


def _define(name: str, table: Mapping[str, object], *, is_text: bool = False) -> AnyDefinition:
    """Check a table; in that of an address, numbers and truth values are texts."""
    kind = table.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise InvalidRequestError(f"store {name}: kind is none of {', '.join(KINDS)}", hint=_HINT)
    for key in table:
        if key not in model.model_fields:
            raise InvalidRequestError(_strange(name, key, model), hint=_hint_for(key))
    try:
        return (model.model_validate_strings if is_text else model.model_validate)(dict(table))
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        told = first["msg"].removeprefix("Value error, ")
        # Without its cause: pydantic's would show what was written.
        raise InvalidRequestError(
            f"store {name}: {f'{key}: ' if key else ''}{told[:1].lower()}{told[1:]}", hint=_HINT
        ) from None


def _strange(name: str, key: str, model: type[AnyDefinition]) -> str:
    nearest = difflib.get_close_matches(key[:_SHOWN], model.model_fields, n=1)
    told = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"store {name}: {key[:_SHOWN]} is no key of this kind{told}"


def _hint_for(key: str) -> str:
    is_secret = any(word in key.lower() for word in ("secret", "password", "token", "key"))
    if is_secret:
        return f"A secret never stands here: name where it is by {' or '.join(_SECRETS)}."
    return _HINT
