"""The one place where what obstore and botocore raise becomes an error of this program."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from obstore import exceptions as obstore_errors

from app.errors import (
    AppError,
    InvalidRequestError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageError,
)
from app.storage.remote.codes import (
    Act,
    Rights,
    code_in,
    error_of,
    error_without_answer,
    status_in,
)


NO_CREDENTIALS: Final = "this machine has no credentials for this store"
_STRANGE: Final = "Rename what has //, /./, /../ or a control character in its name, or give backups a bucket of their own."
_LACKING: Final = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
# What obstore has kinds for, whatever else it says.
_STATUSES: Final[dict[type[Exception], int]] = {
    obstore_errors.PermissionDeniedError: 403,
    obstore_errors.UnauthenticatedError: 401,
    obstore_errors.AlreadyExistsError: 409,
    obstore_errors.PreconditionError: 412,
    FileNotFoundError: 404,
}
_OF_OBSTORE: Final = (obstore_errors.BaseError, FileNotFoundError, OSError, ValueError)


@contextmanager
def translated(name: str, act: Act, rights: Rights) -> Iterator[None]:
    """
    Turn every exception of obstore and botocore in the block into an error of this program.

    Args:
        name: What the messages call the object.
        act: What is done.
        rights: What this kind of store calls the rights.

    Raises:
        AppError: The error, and nothing of what the library says but codes.
    """
    try:
        yield
    except AppError:
        raise
    except _OF_OBSTORE as exc:
        error = _of_obstore(name, act, rights, exc)
    except ClientError as exc:
        error = _of_answer(name, act, rights, exc)
    except BotoCoreError as exc:
        error = _of_botocore(name, exc)
    else:
        return
    # Not chained: their texts may hold addresses that are signed.
    raise error


@contextmanager
def configured() -> Iterator[None]:
    """
    Do the same where a store is opened, and nothing is asked of it yet.

    Raises:
        InvalidRequestError: A setting or a secret makes no sense; nothing of it is told.
    """
    try:
        yield
    except _OF_OBSTORE:
        is_wrong = True
    else:
        is_wrong = False
    if is_wrong:
        raise InvalidRequestError(
            "the secret of the store, or a setting of it, makes no sense",
            hint="Look whether what secret_env or secret_file names is all of the key, and nothing more.",
        )


def _of_obstore(name: str, act: Act, rights: Rights, exc: Exception) -> AppError:
    text = str(exc)
    if NO_CREDENTIALS in text:
        return _no_credentials(name)
    code, status = code_in(text), status_in(text)
    status = next((known for kind, known in _STATUSES.items() if isinstance(exc, kind)), status)
    if isinstance(exc, obstore_errors.NotSupportedError | NotImplementedError):
        return StorageError(f"{name}: the store cannot {act.value}")
    if not (code or status):
        return _without_answer(name, exc)
    found = error_of(name, act, rights, code=code, status=status)
    # To write or list what is not there is no reason to be told so: the bucket is what is missing.
    if act in {Act.WRITE, Act.LIST} and isinstance(found, ObjectNotFoundError):
        return error_of(name, act, rights, code="NoSuchBucket")
    return found


def _without_answer(name: str, exc: Exception) -> AppError:
    if isinstance(exc, obstore_errors.InvalidPathError):
        told = f"{name}: another object there has a name that cannot be read"
        return StorageError(told, hint=_STRANGE)
    return error_without_answer(name, str(exc))


def _no_credentials(name: str) -> StorageDeniedError:
    return StorageDeniedError(
        f"{name}: {NO_CREDENTIALS}",
        hint="Name a key in stores.toml: access_key, and secret_env or secret_file.",
    )


def _of_answer(name: str, act: Act, rights: Rights, exc: ClientError) -> AppError:
    answer = exc.response
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    # Where there is no body, botocore takes the status for the code, which is none.
    return error_of(name, act, rights, code=code, status=status)


def _of_botocore(name: str, exc: BotoCoreError) -> AppError:
    if isinstance(exc, _LACKING):
        return _no_credentials(name)
    return error_without_answer(name, f"{type(exc).__name__} {exc}")
