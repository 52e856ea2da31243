"""
Stores by their definitions.

What they are made of is an extra (`stores`) and takes its time to import: each is imported when a store of
its kind is opened first.
"""

# ruff: noqa: PLC0415 - see above
from typing import assert_never

from app.errors import InvalidRequestError
from app.storage.remote.credentials import (
    FindVariable,
    read_certificates,
    read_file,
    read_secret,
    read_variable,
)
from app.storage.remote.definitions import (
    AnyDefinition,
    AzureDefinition,
    GcsDefinition,
    LocalDefinition,
    S3Definition,
    SftpDefinition,
)
from app.storage.remote.limits import USUAL, Limits
from app.storage.remote.local import LocalStore
from app.storage.remote.store import Store


def open_store(
    name: str, definition: AnyDefinition, find_variable: FindVariable, limits: Limits = USUAL
) -> Store:
    """
    Open a store; nothing is asked of it yet.

    Args:
        name: What the messages call it.
        definition: What it is.
        find_variable: Finds the variables that hold secrets.
        limits: How long it is waited for.

    Returns:
        The store; close it.

    Raises:
        InvalidRequestError: A secret is missing or is none, or the libraries are not installed.
        StorageError: A file with a secret cannot be read.
    """
    if isinstance(definition, LocalDefinition):
        return LocalStore(definition.path)
    try:
        return _open_remote(name, definition, find_variable, limits)
    except ModuleNotFoundError as exc:
        library = (exc.name or "").partition(".")[0]
        raise InvalidRequestError(
            f"store {name}: {library} is not installed, which stores of kind {definition.kind} need",
            hint="Install the extra: pip install 'backstay[stores]'. The Docker image has it.",
        ) from exc


def _open_remote(
    name: str,
    definition: S3Definition | GcsDefinition | AzureDefinition | SftpDefinition,
    find_variable: FindVariable,
    limits: Limits,
) -> Store:
    secret = read_secret(name, definition, find_variable)
    match definition:
        case S3Definition():
            from app.storage.remote.cloud.s3 import S3ObjectStore, SessionKey

            variable = definition.session_token_env
            token = read_variable(name, variable, find_variable) if variable else ""
            certificates = read_certificates(name, definition.ca_file)
            key = SessionKey(secret, token)
            return S3ObjectStore(definition, key, certificates, limits)
        case GcsDefinition():
            from app.storage.remote.cloud.providers import gcs_store

            return gcs_store(name, definition, secret, limits)
        case AzureDefinition():
            from app.storage.remote.cloud.providers import azure_store

            certificates = read_certificates(name, definition.ca_file)
            return azure_store(definition, secret, certificates, limits)
        case SftpDefinition():
            return _open_sftp(name, definition, secret, limits)
        case _:
            assert_never(definition)


def _open_sftp(name: str, definition: SftpDefinition, secret: str, limits: Limits) -> Store:
    import asyncssh

    from app.storage.remote.sftp.connection import SshAddress
    from app.storage.remote.sftp.store import SftpStore

    try:
        host_keys = tuple(asyncssh.import_public_key(line) for line in definition.host_key)
    except asyncssh.KeyImportError:
        raise InvalidRequestError(
            f"store {name}: host_key is no public key",
            hint="It is a line such as 'ssh-ed25519 AAAA...', of a .pub file in /etc/ssh of the server.",
        ) from None
    key = None
    if definition.key_file:
        text = read_file(name, definition.key_file)
        try:
            key = asyncssh.import_private_key(text, secret or None)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
            raise InvalidRequestError(
                f"store {name}: {definition.key_file.name} is no private key, or its passphrase is another",
                hint="The passphrase is where secret_env or secret_file says.",
            ) from None
    address = SshAddress(
        host=definition.host,
        port=definition.port,
        user=definition.user,
        host_keys=host_keys,
        key=key,
        password="" if key else secret,
    )
    return SftpStore(address, definition.path, limits)
