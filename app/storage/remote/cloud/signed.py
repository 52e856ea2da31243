"""
What obstore cannot ask of S3, by botocore; it also finds the credentials of a machine.

Imported when it is first needed: it takes 12 MB, which a backup need not have while it holds its parts.
"""

import ssl
from collections.abc import Mapping
from functools import cached_property
from typing import Final, NamedTuple

from botocore.config import Config
from botocore.session import Session

from app.storage.remote.cloud.memory import descriptions
from app.storage.remote.definitions import S3Definition
from app.storage.remote.limits import Limits


_CONNECTIONS: Final = 10

Answer = Mapping[str, object]


class Credentials(NamedTuple):
    """A key as botocore has found it; not for a log."""

    access_key: str
    secret_key: str
    token: str | None


class SignedRequests:
    """
    Requests to one bucket, each made once.

    Args:
        definition: Where it is.
        secret: Of its key; empty = the credentials of the machine.
        token: Of the session that the key is of; empty = of none.
        limits: How long is waited.
        in_host: Whether the bucket is named in the host.
    """

    def __init__(
        self, definition: S3Definition, secret: str, token: str, limits: Limits, *, in_host: bool
    ) -> None:
        self._definition = definition
        self._secret = secret
        self._token = token
        self._limits = limits
        self._style = "virtual" if in_host else "path"
        self._session = Session()
        self._session.register_component("data_loader", descriptions())

    def make(self, operation: str, **arguments: object) -> Answer:
        """Make one; returns what botocore makes of the answer, and raises what it raises."""
        call = getattr(self._client, operation)
        found: Answer = call(Bucket=self._definition.bucket, **arguments)
        return found

    def find_credentials(self) -> Credentials | None:
        """Find those of this machine, as Amazon's tools do; raises what botocore raises."""
        found = self._session.get_credentials()
        if found is None:
            return None
        frozen = found.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    def close(self) -> None:
        """Close the connections."""
        if "_client" in vars(self):
            self._client.close()

    # Its methods are made at run time, from a description of the service.
    @cached_property
    def _client(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - see above
        definition, limits = self._definition, self._limits
        return self._session.create_client(
            "s3",
            region_name=definition.region,
            endpoint_url=definition.endpoint or None,
            aws_access_key_id=definition.access_key or None,
            aws_secret_access_key=self._secret or None,
            aws_session_token=self._token or None,
            # What obstore trusts; botocore has a list of its own, which knows no authority of a company.
            verify=str(definition.ca_file or ssl.get_default_verify_paths().cafile or "") or None,
            config=Config(
                connect_timeout=limits.connect_seconds,
                read_timeout=limits.answer_seconds,
                retries={"total_max_attempts": 1, "mode": "standard"},
                max_pool_connections=_CONNECTIONS,
                s3={"addressing_style": self._style},
                # Others than AWS do not know the checksums that are sent without being asked for.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
