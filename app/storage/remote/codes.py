"""
What stores say is wrong, as errors of this program: one table for the words of all of them.

Stores answer with codes (`SlowDown`, `AuthorizationPermissionMismatch`) or with a status alone. Only
these are ever taken from an answer: its text may hold addresses that are signed, and names of keys.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.errors import (
    AlreadyThereError,
    AppError,
    ChecksumMismatchError,
    ObjectLockedError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)


class Act(StrEnum):
    """What was to be done, for people."""

    LIST = "list"
    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    SWEEP = "list unfinished uploads"
    KEEP = "set retention"
    LINK = "make a hard link"
    CONNECT = "let the user in"


# By act: what a kind of store calls the right.
Rights = Mapping[Act, str]

_FULL = "Make room in the store, or raise its quota."
_SLOW = "Requests are made again by themselves; if it lasts, ask for a higher limit, or make backups at other times."
_LATER = "Try again later; if it lasts, ask whoever runs the store."
_CLOCK = (
    "Set the clock of this machine right, by NTP: stores refuse requests that are 15 minutes off."
)
_EXPIRED = "The key is of a session that is over: renew it, or use one that does not expire."
_KEY = "Check the key and what secret_env or secret_file names; 'backstay store test' tries them."
_PLACE = "Make it, or correct its name, region and endpoint in stores.toml."
_NO_LOCK = (
    "Switch object lock on for the bucket, which most stores let be done only when it is made; or take"
    " object_lock_days out of stores.toml."
)
_HELD = "It can be deleted when its retention, or the hold on it, is over."


@dataclass(frozen=True, slots=True)
class Meaning:
    """
    What is wrong, by its name.

    Attributes:
        kind: Class of the error.
        words: What happened; `{act}` is what was to be done.
        hint: What to do about it.
    """

    kind: type[AppError]
    words: str
    hint: str = ""


_UNAVAILABLE = Meaning(StorageUnavailableError, "the store does not answer", _LATER)
_BROKEN = Meaning(StorageUnavailableError, "the store has an error of its own", _LATER)
_SLOWER = Meaning(StorageUnavailableError, "the store asks for fewer requests", _SLOW)
_NO_RIGHT = Meaning(StorageDeniedError, "the store refuses to {act}")
_BAD_KEY = Meaning(StorageDeniedError, "the store does not know the key", _KEY)
_BAD_SECRET = Meaning(StorageDeniedError, "the secret does not belong to the key", _KEY)
_OVER = Meaning(StorageDeniedError, "the key has expired", _EXPIRED)
_WRONG_CLOCK = Meaning(StorageDeniedError, "the clock of this machine is wrong", _CLOCK)
_NO_PLACE = Meaning(StorageUnavailableError, "there is no such bucket or container", _PLACE)
_NO_OBJECT = Meaning(ObjectNotFoundError, "there is no such object in the store")
_TAKEN = Meaning(AlreadyThereError, "the store has an object of this name")
_NO_ROOM = Meaning(StorageFullError, "the store is full", _FULL)
_KEPT = Meaning(ObjectLockedError, "the store keeps it", _HELD)
_DAMAGED = Meaning(
    ChecksumMismatchError, "the bytes that arrived are not those that were sent", "Try again."
)
_REFUSED = Meaning(StorageError, "the store refused")
_UNABLE = Meaning(
    StorageError,
    "the store cannot do that",
    "'backstay store test' shows what it cannot do, and docs/stores.md what backups need.",
)

# Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
# https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-error-codes
# https://cloud.google.com/storage/docs/xml-api/reference-status
_CODES: Final[Mapping[str, Meaning]] = {
    "AccessDenied": _NO_RIGHT,
    "AllAccessDisabled": _NO_RIGHT,
    "AuthorizationFailure": _NO_RIGHT,
    "AuthorizationPermissionMismatch": _NO_RIGHT,
    "InsufficientAccountPermissions": _NO_RIGHT,
    "InvalidAccessKeyId": _BAD_KEY,
    "AuthenticationFailed": _BAD_KEY,
    "NoAuthenticationInformation": _BAD_KEY,
    "InvalidSecurity": _BAD_KEY,
    "InvalidToken": _BAD_KEY,
    "SignatureDoesNotMatch": _BAD_SECRET,
    "ExpiredToken": _OVER,
    "TokenRefreshRequired": _OVER,
    "RequestTimeTooSkewed": _WRONG_CLOCK,
    "RequestExpired": _WRONG_CLOCK,
    "NoSuchBucket": _NO_PLACE,
    "ContainerNotFound": _NO_PLACE,
    "ContainerBeingDeleted": _NO_PLACE,
    "PermanentRedirect": Meaning(
        StorageUnavailableError, "the bucket is in another region", "Correct region in stores.toml."
    ),
    "AuthorizationHeaderMalformed": Meaning(
        StorageUnavailableError, "the bucket is in another region", "Correct region in stores.toml."
    ),
    "NoSuchKey": _NO_OBJECT,
    "BlobNotFound": _NO_OBJECT,
    "NoSuchUpload": Meaning(
        StorageError, "the upload is not there any more", "Somebody, or a lifecycle rule, ended it."
    ),
    "PreconditionFailed": _TAKEN,
    # Another request for the same name is under way; how that ends is not known yet.
    "ConditionalRequestConflict": _SLOWER,
    "BlobAlreadyExists": _TAKEN,
    "SlowDown": _SLOWER,
    "TooManyRequests": _SLOWER,
    "ServerBusy": _SLOWER,
    "RequestTimeout": _UNAVAILABLE,
    "OperationTimedOut": _UNAVAILABLE,
    "ServiceUnavailable": _UNAVAILABLE,
    "InternalError": _BROKEN,
    "NotImplemented": _UNABLE,
    "QuotaExceeded": _NO_ROOM,
    "XMinioStorageFull": _NO_ROOM,
    "XMinioAdminBucketQuotaExceeded": _NO_ROOM,
    "EntityTooLarge": Meaning(StorageError, "it is larger than the store takes"),
    "BadDigest": _DAMAGED,
    "InvalidDigest": _DAMAGED,
    "XAmzContentSHA256Mismatch": _DAMAGED,
    "XAmzContentChecksumMismatch": _DAMAGED,
    "Md5Mismatch": _DAMAGED,
    "Crc64Mismatch": _DAMAGED,
    "ObjectLocked": _KEPT,
    "InvalidObjectState": _KEPT,
    "BlobImmutableDueToPolicy": _KEPT,
    "RetentionPolicyNotMet": _KEPT,
    "ObjectUnderActiveHold": _KEPT,
    "InvalidRequest": _REFUSED,
    "NoSuchObjectLockConfiguration": Meaning(
        StorageError,
        "the bucket has no object lock",
        _NO_LOCK,
    ),
    "ObjectLockConfigurationNotFoundError": Meaning(
        StorageError,
        "the bucket has no object lock",
        _NO_LOCK,
    ),
}
_STATUSES: Final[Mapping[int, Meaning]] = {
    401: _BAD_KEY,
    403: _NO_RIGHT,
    404: _NO_OBJECT,
    409: _TAKEN,
    412: _TAKEN,
    429: _SLOWER,
    501: _UNABLE,
    503: _SLOWER,
    507: _NO_ROOM,
}
_SERVER_ERROR: Final = 500
# What is called so may be any text, of any length: only what is no more than a word is told.
_CODE: Final = re.compile(r"[A-Za-z][\w.-]{0,63}", re.ASCII)
_XML_CODE: Final = re.compile(r"<Code>\s*(\w{1,64})\s*</Code>")
_STATUS: Final = re.compile(r"\bstatus(?: code)?:? (\d{3})\b|\((\d{3}) [A-Z]", re.IGNORECASE)
_TIMED_OUT: Final = re.compile(
    r"timed ?out|TimedOut|TimeoutError|(?:Read|Connect) timeout on", re.IGNORECASE
)
_UNREACHED: Final = re.compile(
    r"ConnectError|kind: Connect,|Could not connect|dns error|connection refused|ConnectionRefused",
    re.IGNORECASE,
)
_CUT: Final = re.compile(
    r"IncompleteMessage|connection (?:reset|closed)|ConnectionReset|UnexpectedEof|BrokenPipe|IncompleteBody",
    re.IGNORECASE,
)
# All that is said of an upload whose request was not answered, in time or at all.
_UNANSWERED: Final = re.compile(r"error sending request", re.IGNORECASE)
_TLS: Final = re.compile(r"certificate|\bTLS|\bSSL|handshake|InvalidContentType", re.IGNORECASE)


def code_in(text: str) -> str:
    """Find the code of an answer in what a library says of it; empty when there is none."""
    found = _XML_CODE.search(text.replace("\\n", " "))
    return found[1] if found else ""


def status_in(text: str) -> int:
    """Find the status of an answer in what a library says of it; 0 when there is none."""
    found = _STATUS.search(text)
    return int(found[1] or found[2]) if found else 0


def error_of(name: str, act: Act, rights: Rights, *, code: str = "", status: int = 0) -> AppError:
    """
    Make the error of an answer.

    Args:
        name: What it is about: an object, or the store.
        act: What was to be done.
        rights: What this kind of store calls the rights.
        code: Of the answer, as the store spells it; what is none counts as absent.
        status: Of the answer.

    Returns:
        An error that names the right or the setting that is lacking.
    """
    code = code if _CODE.fullmatch(code) else ""
    meaning = _CODES.get(code) or _STATUSES.get(status)
    if meaning is None:
        meaning = _BROKEN if status >= _SERVER_ERROR else _REFUSED
    words = meaning.words.format(act=act.value)
    told = f" ({code or status})" if code or status else ""
    hint = meaning.hint
    if meaning in {_REFUSED, _UNABLE} and act is Act.KEEP:
        hint = _NO_LOCK
    if meaning is _NO_RIGHT:
        hint = f"Give the key the right {rights[act]}." if act in rights else _KEY
    return meaning.kind(f"{name}: {words}{told}", hint=hint)


def error_without_answer(name: str, text: str) -> AppError:
    """
    Make the error of a call that got no answer.

    Args:
        name: What it is about; of a store that is not there at all it is not told.
        text: What a library says of it; only what kind it is gets out.

    Returns:
        An error that may pass.
    """
    hint = "Check host, endpoint and network."
    if _TLS.search(text) and not _TIMED_OUT.search(text):
        return StorageUnavailableError(
            "no TLS connection could be made",
            hint="Check the endpoint, and that its certificate is of an authority that this machine trusts.",
        )
    if _TIMED_OUT.search(text):
        return StorageUnavailableError(f"{name}: the store did not answer in time", hint=hint)
    if _UNREACHED.search(text):
        return StorageUnavailableError("the store cannot be reached", hint=hint)
    if _CUT.search(text):
        return StorageUnavailableError(f"{name}: the connection was cut", hint=hint)
    words = "did not answer" if _UNANSWERED.search(text) else "does not answer as one"
    return StorageUnavailableError(f"{name}: the store {words}", hint=hint)
