"""
Secrets of stores: read when a store is opened, from where its definition says, and told nobody.

A file that others may read is refused: it is no secret any more.
"""

import stat
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from app.errors import InvalidRequestError
from app.named_files import read_named
from app.storage.failures import translated
from app.storage.remote.definitions import AnyDefinition, WithSecret


# By name; None or empty = it is not set.
FindVariable = Callable[[str], str | None]
_MOST_BYTES: Final = 64 << 10


def stamp_of(definition: AnyDefinition, find_variable: FindVariable) -> str:
    """
    Tell one set of what a definition refers to from another: secrets, keys and certificates.

    Returns:
        A digest, which tells nothing of them; what cannot be read is told from what can.
    """
    digest = sha256()
    for key in ("secret_file", "key_file", "ca_file"):
        path: Path | None = getattr(definition, key, None)
        facts = None
        with suppress(OSError):
            facts = path.stat() if path else None
        digest.update(repr(facts and (facts.st_ino, facts.st_mtime_ns, facts.st_size)).encode())
    for key in ("secret_env", "session_token_env"):
        variable: str = getattr(definition, key, "")
        digest.update(repr(find_variable(variable) if variable else None).encode())
    return digest.hexdigest()


def read_secret(store: str, definition: WithSecret, find_variable: FindVariable) -> str:
    """
    Read the secret of a store.

    Returns:
        It, without white space around it; empty where the definition names none.

    Raises:
        InvalidRequestError: The variable is not set, the file is empty, or others may read it.
        StorageError: The file cannot be read.
    """
    if definition.secret_env:
        return read_variable(store, definition.secret_env, find_variable)
    if definition.secret_file:
        return read_file(store, definition.secret_file)
    return ""


def read_variable(store: str, variable: str, find_variable: FindVariable) -> str:
    """Read a variable; raises InvalidRequestError when it is not set."""
    found = (find_variable(variable) or "").strip()
    if not found:
        raise InvalidRequestError(
            f"store {store}: the variable {variable} is not set",
            hint="Set it for the service and for commands alike, such as in its environment file.",
        )
    return found


def read_certificates(store: str, path: Path | None) -> str:
    """
    Read certificates, which are no secret.

    Returns:
        All of the file; empty where none is named.

    Raises:
        InvalidRequestError: There are none in it.
        StorageError: The file cannot be read.
    """
    if path is None:
        return ""
    with translated(path.name):
        text = read_named(path).data.decode(errors="replace")
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise InvalidRequestError(
            f"store {store}: there is no certificate in {path.name}",
            hint="ca_file is a file in PEM: it begins with -----BEGIN CERTIFICATE-----.",
        )
    return text


def read_file(store: str, path: Path) -> str:
    """Read a file; raises InvalidRequestError when it is empty, or no secret."""
    with translated(path.name):
        data, mode = read_named(path, _MOST_BYTES)
    if mode & stat.S_IRWXO:
        raise InvalidRequestError(
            f"store {store}: others may read {path.name}, mode {mode:04o}",
            hint=f"chmod o= {path}, and think of another secret if somebody may have read it.",
        )
    try:
        found = data.decode().strip()
    except UnicodeDecodeError as exc:
        raise InvalidRequestError(f"store {store}: {path.name} is no text") from exc
    if not found:
        raise InvalidRequestError(f"store {store}: {path.name} is empty")
    return found
