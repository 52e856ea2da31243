"""What stores say, as errors: by code, by status, and without any answer."""

import pytest

from app.errors import (
    AlreadyThereError,
    AppError,
    ObjectLockedError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)
from app.storage.remote.codes import Act, code_in, error_of, error_without_answer, status_in


RIGHTS = {Act.DELETE: "s3:DeleteObject"}


@pytest.mark.parametrize(
    ("code", "status", "kind", "hint"),
    [
        ("AccessDenied", 403, StorageDeniedError, "s3:DeleteObject"),
        ("", 403, StorageDeniedError, "s3:DeleteObject"),
        ("ExpiredToken", 400, StorageDeniedError, "renew"),
        ("RequestTimeTooSkewed", 403, StorageDeniedError, "NTP"),
        ("InvalidAccessKeyId", 403, StorageDeniedError, "secret_env"),
        ("SlowDown", 503, StorageUnavailableError, "limit"),
        ("", 503, StorageUnavailableError, "limit"),
        ("", 502, StorageUnavailableError, ""),
        ("NoSuchBucket", 404, StorageUnavailableError, "stores.toml"),
        ("QuotaExceeded", 403, StorageFullError, "room"),
        ("", 507, StorageFullError, "room"),
        ("PreconditionFailed", 412, AlreadyThereError, ""),
        ("ConditionalRequestConflict", 409, StorageUnavailableError, ""),
        ("BlobImmutableDueToPolicy", 409, ObjectLockedError, "retention"),
        ("NoSuchKey", 404, ObjectNotFoundError, ""),
        ("NotImplemented", 501, StorageError, "store test"),
        ("", 501, StorageError, "store test"),
        ("NeverHeardOf", 418, StorageError, ""),
        ("", 0, StorageError, ""),
    ],
)
def test_an_answer_becomes_an_error_that_says_what_to_do(code, status, kind, hint):
    """The message names the object, what was done, and the word of the store."""
    error = error_of("backup.sql.gz", Act.DELETE, RIGHTS, code=code, status=status)

    assert type(error) is kind
    assert hint in error.hint
    assert str(error).startswith("backup.sql.gz: ")
    assert (code or str(status or "")) in str(error)


@pytest.mark.parametrize(
    "code",
    [
        "AccessDenied\n", "your backups are fine: run this", "AWS4-HMAC-SHA256 Credential=AKIA", "\x1b[2J",
        "x" * 65, "403", "é", "<b>",
    ],
)  # fmt: skip
def test_what_a_store_calls_a_code_is_told_only_if_it_is_one(code):
    """Whoever stands there may send any text, also what it was sent; it gets into no message."""
    error = error_of("x", Act.DELETE, RIGHTS, code=code, status=403)

    assert type(error) is StorageDeniedError
    assert code not in f"{error} {error.hint}".replace("(403)", "")
    assert str(error).endswith("(403)")


def test_a_right_without_a_name_is_looked_for_at_the_key():
    """Where a kind of store has no such right."""
    assert "secret_env" in error_of("x", Act.SWEEP, {}, status=403).hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("operation timed out", "in time"),
        ('Read timeout on endpoint URL: "None"', "in time"),
        ("ConnectionRefused at 10.0.0.1", "cannot be reached"),
        ("dns error: no such host", "cannot be reached"),
        ("connection closed before message completed", "was cut"),
        ("invalid peer certificate: UnknownIssuer", "TLS"),
        ("in 92.1s - HTTP error: error sending request", "did not answer"),
        ("something https://example.com/?sig=hush", "does not answer as one"),
    ],
)
def test_no_answer_is_told_by_its_kind_alone(text, words):
    """Of what the library says nothing gets out: it may hold a signed address."""
    error: AppError = error_without_answer("x", text)

    assert isinstance(error, StorageUnavailableError)
    assert words in str(error)
    assert "hush" not in f"{error} {error.hint}"


def test_codes_and_statuses_are_found_in_what_libraries_say():
    """In bodies of XML, also where their ends of lines are spelled out."""
    text = "Server returned non-2xx status code: 503 Service Unavailable: <?xml?>\\n<Code>SlowDown</Code>"

    assert (code_in(text), status_in(text)) == ("SlowDown", 503)
    assert (code_in("nothing"), status_in("after 403 ms")) == ("", 0)
