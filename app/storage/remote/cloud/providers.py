"""Google Cloud Storage and Azure Blob, opened by obstore."""

import json
from typing import TYPE_CHECKING, Final

from obstore.store import AzureStore, GCSStore

from app.errors import InvalidRequestError
from app.storage.remote.cloud.objects import ObjectStore, for_endpoint
from app.storage.remote.codes import Act, Rights
from app.storage.remote.definitions import AzureDefinition, GcsDefinition
from app.storage.remote.limits import USUAL, Limits


if TYPE_CHECKING:  # they are there for the checker only
    from obstore.store import AzureConfig, ClientConfig, GCSConfig, RetryConfig

_GCS_RIGHTS: Final[Rights] = {
    Act.LIST: "storage.objects.list (the role Storage Object User has all) on the bucket",
    Act.READ: "storage.objects.get (the role Storage Object User has all) on the bucket",
    Act.WRITE: "storage.objects.create (the role Storage Object User has all) on the bucket",
    Act.DELETE: "storage.objects.delete (the role Storage Object User has all) on the bucket",
}
_AZURE_RIGHTS: Final[Rights] = {
    Act.LIST: "List (the role Storage Blob Data Contributor has all) on the container",
    Act.READ: "Read (the role Storage Blob Data Contributor has all) on the container",
    Act.WRITE: "Create and Write (the role Storage Blob Data Contributor has all) on the container",
    Act.DELETE: "Delete (the role Storage Blob Data Contributor has all) on the container",
}
# In a SAS token always, in a key of an account never.
_SIGNATURE: Final = "sig="


def gcs_store(
    store: str, definition: GcsDefinition, secret: str, limits: Limits = USUAL
) -> ObjectStore:
    """Open a bucket of Google Cloud Storage; raises InvalidRequestError for a secret that is none."""
    endpoint = _base_url(store, secret) if secret else ""

    def open_bucket(client: "ClientConfig", retry: "RetryConfig") -> GCSStore:
        config: GCSConfig = {"service_account_key": secret} if secret else {}
        return GCSStore(
            definition.bucket,
            prefix=definition.prefix or None,
            config=config,
            client_options=for_endpoint(client, endpoint),
            retry_config=retry,
        )

    return ObjectStore(open_bucket, _GCS_RIGHTS, limits)


def azure_store(
    definition: AzureDefinition, secret: str, certificates: str = "", limits: Limits = USUAL
) -> ObjectStore:
    """Open a container of Azure Blob Storage, trusting certificates besides those of the machine."""
    is_token = _SIGNATURE in secret

    def open_container(client: "ClientConfig", retry: "RetryConfig") -> AzureStore:
        config: AzureConfig = {"account_name": definition.account}
        if secret:
            config["sas_key" if is_token else "account_key"] = secret.removeprefix("?")
        if definition.endpoint:
            config["endpoint"] = definition.endpoint
        return AzureStore(
            definition.container,
            prefix=definition.prefix or None,
            client_options=for_endpoint(client, definition.endpoint, certificates),
            config=config,
            retry_config=retry,
        )

    return ObjectStore(open_container, _AZURE_RIGHTS, limits)


def _base_url(store: str, secret: str) -> str:
    """Return the address that a service account names instead of Google's; empty = none."""
    try:
        account = json.loads(secret)
        return str(account.get("gcs_base_url", ""))
    except (ValueError, AttributeError):
        raise InvalidRequestError(
            f"store {store}: its secret is not the JSON of a service account",
            hint="Google's console makes that file with the key of a service account.",
        ) from None
