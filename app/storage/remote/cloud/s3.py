"""
S3 and what speaks as it does: objects by obstore, the rest by botocore.

What obstore cannot: list a bucket where others have names such as `a//b`, find and abort the uploads of others, read the clock of the store without writing, and
object lock, whose headers must be signed. botocore makes each request once; `Limits` says how often more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

from obstore.store import S3Store

from app.errors import (
    ObjectLockedError,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
)
from app.storage.kernel import trim_memory
from app.storage.remote.cloud.objects import ObjectStore, for_endpoint
from app.storage.remote.cloud.translation import NO_CREDENTIALS, translated
from app.storage.remote.codes import Act, Rights
from app.storage.remote.definitions import S3Definition
from app.storage.remote.limits import USUAL, Limits
from app.storage.remote.store import StoredObject, UnfinishedUpload, is_name, require_name


if TYPE_CHECKING:  # those of obstore are there for the checker only
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Credential

    from app.storage.remote.cloud.signed import SignedRequests

_RIGHTS: Final[Rights] = {
    Act.LIST: "s3:ListBucket on the bucket",
    Act.READ: "s3:GetObject on the bucket's objects",
    Act.WRITE: "s3:PutObject on the bucket's objects",
    Act.DELETE: "s3:DeleteObject (with object lock also s3:DeleteObjectVersion) on the bucket's objects",
    Act.SWEEP: "s3:ListBucketMultipartUploads on the bucket, and s3:AbortMultipartUpload on its objects",
    Act.KEEP: "s3:PutObject, s3:PutObjectRetention and s3:GetObjectRetention on the bucket's objects",
}
# obstore asks again for credentials of the machine after that long; those of a key stay.
_ASKED_AGAIN: Final = timedelta(minutes=5)
_PAGE: Final = 1000

Answer = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SessionKey:
    """
    What is secret of a key.

    Attributes:
        secret: Empty = the credentials of the machine.
        token: Of the session that the key is of; empty = of none.
    """

    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


class S3ObjectStore(ObjectStore):
    """
    A bucket of S3.

    Args:
        definition: Where it is.
        key: Its secret.
        certificates: Those that are trusted besides the machine's, PEM.
    """

    lists_unfinished = True

    def __init__(
        self,
        definition: S3Definition,
        key: SessionKey,
        certificates: str = "",
        limits: Limits = USUAL,
    ) -> None:
        self._definition = definition
        self._secret = key.secret
        self._token = key.token
        self._certificates = certificates
        self.keeps_objects = definition.object_lock_days > 0
        super().__init__(self._opened_bucket, _RIGHTS, limits)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """See `Store.list`; what obstore cannot read, since others have such names there, is asked for by botocore."""
        last = ""
        try:
            for found in super().list(prefix):
                last = found.name
                yield found
        except (StorageUnavailableError, StorageDeniedError):
            raise
        except StorageError:
            yield from self._list_signed(prefix, last)

    def send(self, name: str, data: bytes, *, create: bool, retain_until: datetime | None) -> None:
        """Make one request that writes an object, with its retention in it."""
        if retain_until is None:
            super().send(name, data, create=create, retain_until=None)
            return
        arguments: dict[str, object] = {
            "Body": data,
            # Object lock wants one.
            "ChecksumAlgorithm": "CRC32",
            "ObjectLockMode": self._definition.object_lock_mode.upper(),
            "ObjectLockRetainUntilDate": retain_until,
        }
        if create:
            arguments["IfNoneMatch"] = "*"
        self._request(name, Act.KEEP, "put_object", Key=self._key(name), **arguments)

    def delete(self, name: str) -> bool:
        """See `Store.delete`; where object lock is used, all versions go, not only the name."""
        gone: list[object] = []

        def find_newest(_attempt: int) -> Answer | None:
            head = self._head_once(name)
            if head is not None and head.get("VersionId") in gone:
                raise StorageUnavailableError(
                    f"{name}: the store confirms its deletion, and still has it",
                    hint="Look for a rule of the bucket that keeps it, or a gateway that drops deletions.",
                )
            return head

        while (head := self.limits.retried(find_newest)) is not None:
            self._delete_version(name, head)
            gone.append(head.get("VersionId"))
        return bool(gone)

    def _delete_version(self, name: str, head: Answer) -> None:
        until = head.get("ObjectLockRetainUntilDate")
        if isinstance(until, datetime) and until > _date(head):
            raise _locked(name, f"until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
        if head.get("ObjectLockLegalHoldStatus") == "ON":
            raise _locked(name, "as long as there is a legal hold on it")
        version = head.get("VersionId")
        if not self.keeps_objects or version in {None, "null"}:
            super().delete(name)
            return
        arguments = {"Key": self._key(name), "VersionId": version}
        self._ask(name, Act.DELETE, "delete_object", **arguments)

    def retain(self, name: str, until: datetime) -> None:
        """See `Store.retain`."""
        self._require_keeping(until)
        head = self._head(name)
        if head is None:
            raise ObjectNotFoundError(f"{name}: there is no such object in the store")
        known = head.get("ObjectLockRetainUntilDate")
        if isinstance(known, datetime) and known >= until:
            return
        retention = {"Mode": self._definition.object_lock_mode.upper(), "RetainUntilDate": until}
        self._ask(name, Act.KEEP, "put_object_retention", Key=self._key(name), Retention=retention)

    def now(self) -> datetime:
        """See `Store.now`: when the store answered."""
        try:
            return _date(self._ask("the bucket", Act.LIST, "head_bucket"))
        except StorageUnavailableError:
            raise
        except StorageError:
            self.explain()
            raise

    def unfinished(self, older_than: datetime) -> Iterator[UnfinishedUpload]:
        """See `Store.unfinished`."""
        below = self._key("")
        markers: dict[str, object] = {}
        while True:
            page = self._ask(
                "the uploads", Act.SWEEP, "list_multipart_uploads",
                Prefix=below, MaxUploads=_PAGE, **markers,
            )  # fmt: skip
            uploads = page.get("Uploads")
            found = uploads if isinstance(uploads, list) else []
            for upload in found:
                if upload["Initiated"] < older_than:
                    name = str(upload["Key"]).removeprefix(below)
                    yield UnfinishedUpload(name, str(upload["UploadId"]), upload["Initiated"])
            if not page.get("IsTruncated") or not found:
                return
            # Not every store says where the next page begins: behind the last one.
            markers = {
                "KeyMarker": page.get("NextKeyMarker") or found[-1]["Key"],
                "UploadIdMarker": page.get("NextUploadIdMarker") or found[-1]["UploadId"],
            }

    def abort_unfinished(self, upload: UnfinishedUpload) -> None:
        """See `Store.abort_unfinished`."""
        arguments = {"Key": self._key(upload.name), "UploadId": upload.upload_id}
        try:
            self._ask(upload.name, Act.SWEEP, "abort_multipart_upload", **arguments)
        except (ObjectNotFoundError, StorageError) as exc:
            if isinstance(exc, StorageUnavailableError | StorageDeniedError):
                raise

    def close(self) -> None:
        """Close the connections of botocore; see `Store.close`."""
        if "_signed" in vars(self):
            self._signed.close()

    def _key(self, name: str) -> str:
        prefix = self._definition.prefix
        return f"{prefix}/{name}" if prefix else name

    def _list_signed(self, prefix: str, after: str) -> Iterator[StoredObject]:
        """List names with a prefix and no others, whatever these are, behind one where it is not empty."""
        below = self._key("")
        wanted: dict[str, object] = {"Prefix": below + prefix}
        if after:
            wanted["StartAfter"] = below + after
        while True:
            page = self._ask("the list", Act.LIST, "list_objects_v2", **wanted)
            contents = page.get("Contents")
            for entry in contents if isinstance(contents, list) else []:
                name = str(entry["Key"]).removeprefix(below)
                if is_name(name):
                    yield StoredObject(name, entry["Size"], entry["LastModified"])
            if not page.get("IsTruncated"):
                return
            wanted["ContinuationToken"] = page["NextContinuationToken"]

    def _head(self, name: str) -> Answer | None:
        return self.limits.retried(lambda _: self._head_once(name))

    def _head_once(self, name: str) -> Answer | None:
        key = self._key(require_name(name))
        try:
            return self._request(name, Act.READ, "head_object", Key=key)
        except ObjectNotFoundError:
            return None
        except StorageUnavailableError:
            raise
        except StorageError:
            self.explain()
            raise

    def _ask(self, name: str, act: Act, operation: str, **arguments: object) -> Answer:
        """Make a request that may be made twice."""
        return self.limits.retried(lambda _: self._request(name, act, operation, **arguments))

    def _request(self, name: str, act: Act, operation: str, **arguments: object) -> Answer:
        with translated(name, act, self.rights):
            return self._signed.make(operation, **arguments)

    @cached_property
    def _signed(self) -> "SignedRequests":
        # Mostly at the end of a backup: what its rows and parts took is not held beside it.
        trim_memory()
        from app.storage.remote.cloud.signed import SignedRequests  # noqa: PLC0415 - see there

        return SignedRequests(
            self._definition,
            self._secret,
            self._token,
            self.limits,
            in_host=self._names_bucket_in_host,
        )

    @property
    def _names_bucket_in_host(self) -> bool:
        definition = self._definition
        if definition.addressing == "auto":
            # A dot in it would be none of the certificate's.
            return not definition.endpoint and "." not in definition.bucket
        return definition.addressing == "host"

    def _opened_bucket(self, client: "ClientConfig", retry: "RetryConfig") -> S3Store:
        definition = self._definition
        endpoint = definition.endpoint
        if endpoint and self._names_bucket_in_host:
            # obstore wants it there then.
            endpoint = endpoint.replace("://", f"://{definition.bucket}.", 1)
        config: S3Config = {
            "region": definition.region,
            "virtual_hosted_style_request": self._names_bucket_in_host,
        }
        if endpoint:
            config["endpoint"] = endpoint
        return S3Store(
            definition.bucket,
            prefix=definition.prefix or None,
            config=config,
            client_options=for_endpoint(client, endpoint, self._certificates),
            retry_config=retry,
            credential_provider=self._credentials,
        )

    def _credentials(self) -> "S3Credential":
        """Hand obstore what botocore uses, so that both are the same key."""
        if self._secret:
            return {
                "access_key_id": self._definition.access_key,
                "secret_access_key": self._secret,
                "token": self._token or None,
                "expires_at": None,
            }
        with translated("the store", Act.READ, self.rights):
            found = self._signed.find_credentials()
        if found is None:
            # Through obstore, which knows such an error only by its words.
            raise StorageDeniedError(NO_CREDENTIALS)
        return {
            "access_key_id": found.access_key,
            "secret_access_key": found.secret_key,
            "token": found.token,
            "expires_at": datetime.now(UTC) + _ASKED_AGAIN,  # noqa: TID251 - for obstore's own clock
        }


def _date(answer: Answer) -> datetime:
    """Return when an answer was made, by the clock of the store."""
    facts = answer["ResponseMetadata"]
    headers = facts.get("HTTPHeaders", {}) if isinstance(facts, dict) else {}
    try:
        return parsedate_to_datetime(headers.get("date", "")).astimezone(UTC)
    except ValueError:
        raise StorageUnavailableError("the store does not say what time it is") from None


def _locked(name: str, until: str) -> ObjectLockedError:
    return ObjectLockedError(
        f"{name}: the store keeps it {until}",
        hint="That is what object lock is for; it is deleted by the first prune after that.",
    )
