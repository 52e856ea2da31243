"""
Keeps what object stores take in memory small, measured with a backup of 30 MB.

botocore loads descriptions of all of S3, with a manual, and the regions of all services of Amazon's: 15 MB, of
which 7 are used.
"""

import gzip
import json
from pathlib import Path
from typing import Final

from botocore.loaders import JSONFileLoader, Loader


_OPERATIONS: Final = frozenset({
    "AbortMultipartUpload",
    "DeleteObject",
    "HeadBucket",
    "HeadObject",
    "ListMultipartUploads",
    "ListObjectsV2",
    "PutObject",
    "PutObjectRetention",
})
_SERVICE: Final = "s3"

Description = dict[str, object]


class _DescriptionFiles(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
    """Reads descriptions, without what is not used of them."""

    def load_file(self, file_path: str) -> Description | None:
        """Read a file, whose name is given without its ending; None when there is none."""
        for ending, opened in ((".json", open), (".json.gz", gzip.open)):
            path = Path(file_path + ending)
            if path.is_file():
                with opened(path, "rb") as file:
                    found: Description = json.load(file, object_hook=_used)
                return found
        return None


def descriptions() -> Loader:
    """Make what a session of botocore takes as its `data_loader`."""
    return Loader(file_loader=_DescriptionFiles())


def _used(found: Description) -> Description:
    """Take out of one object of JSON what nobody asks for."""
    if "documentation" in found:
        found["documentation"] = ""
    for key, wanted in (("operations", _OPERATIONS), ("services", {_SERVICE})):
        parts = found.get(key)
        if isinstance(parts, dict):
            found[key] = {name: part for name, part in parts.items() if name in wanted}
    return found
