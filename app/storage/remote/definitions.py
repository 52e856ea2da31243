"""
What a store is, as somebody has written it down: one table of `stores.toml`, or one address.

No secret stands in it, only where it is: a variable (`secret_env`) or a file (`secret_file`). docs/stores.md
describes every key; a test keeps that complete.
"""

import os
from abc import abstractmethod
from dataclasses import astuple
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from app.domain.backups.retention import RetentionPolicy
from app.storage.remote.store import is_name


_MOST_DAYS: Final = 36_500
_RULES: Final = f"rules and numbers, such as daily=7; rules are {', '.join(RetentionPolicy.__dataclass_fields__)}"
_Days = Annotated[float, Field(ge=0, le=_MOST_DAYS)]
_Port = Annotated[int, Field(ge=1, le=65_535)]
_Text = Annotated[str, Field(min_length=1, max_length=1024)]
_Variable = Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$", max_length=128)]


class Definition(BaseModel):
    """
    What all kinds have.

    Attributes:
        append_only: Whether the key may not delete: nothing is ever deleted there by this program.
        retention: What is kept there; None = nothing is deleted there by rules.
        check_days: How often each backup there is read back; 0 = only when somebody asks for it.
        drill_days: How often one of them is restored for proof; 0 = the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    append_only: bool = False
    retention: RetentionPolicy | None = None
    check_days: _Days = 0
    drill_days: _Days = 0

    @field_validator("retention", mode="before")
    @classmethod
    def _rules(cls, rules: object) -> object:
        """Read rules that were written in a line, such as `daily=7,monthly=12`; raises ValueError."""
        if isinstance(rules, str):
            rules = dict(rule.partition("=")[::2] for rule in rules.replace(",", " ").split())
        if isinstance(rules, dict):
            strange = sorted(set(map(str, rules)) - set(RetentionPolicy.__dataclass_fields__))
            if strange or not rules:
                raise ValueError(_RULES)
        return rules

    @field_validator("retention")
    @classmethod
    def _possible(cls, policy: RetentionPolicy | None) -> RetentionPolicy | None:
        if policy is not None and min(astuple(policy)) < 0:
            raise ValueError(_RULES)
        return policy

    @model_validator(mode="after")
    def _may_delete(self) -> Self:
        if self.retention and self.append_only:
            raise ValueError(
                "retention and append_only: nothing is deleted in such a store; give it a rule of its own"
            )
        return self

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for people; holds no secret."""

    @property
    @abstractmethod
    def site(self) -> str:
        """What it is lost with, at once: the same for two stores in one bucket, or on one server."""


class WithPrefix(Definition):
    """
    A store that may share its place with others.

    Attributes:
        prefix: What all its names begin with, without a slash at the end.
    """

    prefix: str = ""

    @field_validator("prefix")
    @classmethod
    def _of_names(cls, prefix: str) -> str:
        prefix = prefix.strip("/")
        if prefix and not is_name(prefix):
            raise ValueError("has characters other than letters, digits, and . _ = - /")
        return prefix

    def below(self, place: str) -> str:
        """Return an address with the prefix after it."""
        return f"{place}/{self.prefix}" if self.prefix else place


class WithSecret(Definition):
    """
    A store that asks for a secret.

    Attributes:
        secret_env: Variable that holds it.
        secret_file: File that holds it, and which others may not read.
    """

    secret_env: _Variable = ""
    secret_file: Path | None = None

    @model_validator(mode="after")
    def _in_one_place(self) -> Self:
        if self.secret_env and self.secret_file:
            raise ValueError("secret_env and secret_file: one of them")
        return self


class WithEndpoint(Definition):
    """
    A store that another service may be asked for than the usual one.

    Attributes:
        endpoint: Its address; empty = that of the vendor.
        ca_file: Certificates of the authority of its own certificate, PEM; None = one that the machine trusts.
    """

    endpoint: str = ""
    ca_file: Path | None = None

    @field_validator("endpoint")
    @classmethod
    def _address(cls, endpoint: str) -> str:
        """Return an address without a user in it; raises ValueError."""
        if not endpoint:
            return endpoint
        address = urlsplit(endpoint)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError("is no address such as https://storage.example.com")
        if address.username or address.password or address.query:
            raise ValueError("holds more than scheme, host, port and path")
        return endpoint.rstrip("/")


class LocalDefinition(Definition):
    """
    A directory.

    Attributes:
        path: Absolute; it must be there.
    """

    kind: Literal["local"]
    path: Path

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        if not path.is_absolute():
            raise ValueError("is no absolute path")
        return path

    @property
    def place(self) -> str:
        """Where it is."""
        return str(self.path)

    @property
    def site(self) -> str:
        """The directory itself: nobody is asked what is mounted where."""
        return f"local:{os.path.normpath(self.path)}"


class S3Definition(WithPrefix, WithSecret, WithEndpoint):
    """
    A bucket of S3, or of what speaks as it does.

    Attributes:
        region: Of the bucket.
        addressing: Where requests name the bucket; `auto` is in the host for AWS, else in the path.
        access_key: Name of the key; empty = the credentials of this machine.
        session_token_env: Variable with the token of a key that is of a session.
        object_lock_days: How long each object is kept from deletion; 0 = not.
        object_lock_mode: Whether somebody with a right of its own may end that.
    """

    kind: Literal["s3"]
    bucket: _Text
    region: _Text = "us-east-1"
    addressing: Literal["auto", "path", "host"] = "auto"
    access_key: str = ""
    session_token_env: _Variable = ""
    object_lock_days: Annotated[int, Field(ge=0, le=_MOST_DAYS)] = 0
    object_lock_mode: Literal["governance", "compliance"] = "governance"

    @model_validator(mode="after")
    def _whole_key(self) -> Self:
        if bool(self.access_key) != bool(self.secret_env or self.secret_file):
            raise ValueError("access_key and its secret (secret_env or secret_file): both or none")
        return self

    @property
    def place(self) -> str:
        """Where it is."""
        return self.below(f"s3://{self.bucket}")

    @property
    def site(self) -> str:
        """The bucket, by whoever keeps it."""
        return f"s3:{self.endpoint}/{self.bucket}"


class GcsDefinition(WithPrefix, WithSecret):
    """A bucket of Google Cloud Storage; the secret is the JSON of a service account."""

    kind: Literal["gcs"]
    bucket: _Text

    @property
    def place(self) -> str:
        """Where it is."""
        return self.below(f"gcs://{self.bucket}")

    @property
    def site(self) -> str:
        """The bucket."""
        return f"gcs:{self.bucket}"


class AzureDefinition(WithPrefix, WithSecret, WithEndpoint):
    """
    A container of Azure Blob Storage; the secret is a key of the account, or a SAS token.

    Attributes:
        container: Name of the container.
        account: Name of the storage account.
    """

    kind: Literal["azure"]
    container: _Text
    account: _Text

    @property
    def place(self) -> str:
        """Where it is."""
        return self.below(f"azure://{self.account}/{self.container}")

    @property
    def site(self) -> str:
        """The container."""
        return f"azure:{self.endpoint}/{self.account}/{self.container}"


class SftpDefinition(WithSecret):
    """
    A directory of an SSH server; the secret is the passphrase of the key, or a password where there is none.

    Attributes:
        host_key: Public keys of the server, as its `.pub` files have them.
        path: Directory, which must be there; relative to where the server lets us in.
        key_file: Private key.
    """

    kind: Literal["sftp"]
    host: _Text
    port: _Port = 22
    user: _Text
    host_key: tuple[_Text, ...]
    path: _Text
    key_file: Path | None = None

    @field_validator("host_key", mode="before")
    @classmethod
    def _several(cls, keys: object) -> object:
        return (keys,) if isinstance(keys, str) else keys

    @field_validator("host_key")
    @classmethod
    def _pinned(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if not keys:
            raise ValueError("is empty: without it anybody could be taken for the server")
        return keys

    @model_validator(mode="after")
    def _way_in(self) -> Self:
        if not (self.key_file or self.secret_env or self.secret_file):
            raise ValueError("key_file, or a password in secret_env or secret_file: one of them")
        return self

    @property
    def place(self) -> str:
        """Where it is."""
        port = "" if self.port == 22 else f":{self.port}"  # noqa: PLR2004 - that of SSH
        return f"sftp://{self.user}@{self.host}{port}/{self.path.lstrip('/')}"

    @property
    def site(self) -> str:
        """The server."""
        return f"sftp:{self.host.lower()}:{self.port}"


AnyDefinition = LocalDefinition | S3Definition | GcsDefinition | AzureDefinition | SftpDefinition
KINDS: Final[dict[str, type[AnyDefinition]]] = {
    "local": LocalDefinition,
    "s3": S3Definition,
    "gcs": GcsDefinition,
    "azure": AzureDefinition,
    "sftp": SftpDefinition,
}
