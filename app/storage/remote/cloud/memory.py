"""
Keeps what object stores take in memory small; all of it was measured with a backup of 30 MB.

1. botocore loads descriptions of all of S3, with a manual, and the regions of all services of Amazon's: 15 MB,
   of which 7 are used.
2. Parts and ranges are made and dropped by a dozen threads. The C library gives each thread an arena of its
   own, and keeps in it what was freed: 15 MB that nobody uses. What is large it would give back, but takes for
   small as soon as something of that size was freed once: 6 MB more.
"""

import ctypes
import gzip
import json
from contextlib import suppress
from pathlib import Path
from typing import Final

from botocore.loaders import JSONFileLoader, Loader


_OPERATIONS: Final = frozenset({
    "AbortMultipartUpload",
    "DeleteObject",
    "HeadBucket",
    "HeadObject",
    "ListMultipartUploads",
    "PutObject",
    "PutObjectRetention",
})
_SERVICE: Final = "s3"
# Of `malloc.h`.
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2
_LARGE_BYTES: Final = 1 << 20

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


def give_memory_back() -> None:
    """Let threads share what the C library keeps of freed memory, where it is glibc; again is harmless."""
    with suppress(AttributeError):
        set_option = ctypes.CDLL(None).mallopt
        set_option(_M_ARENA_MAX, _ARENAS)
        set_option(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def _used(found: Description) -> Description:
    """Take out of one object of JSON what nobody asks for."""
    if "documentation" in found:
        found["documentation"] = ""
    for key, wanted in (("operations", _OPERATIONS), ("services", {_SERVICE})):
        parts = found.get(key)
        if isinstance(parts, dict):
            found[key] = {name: part for name, part in parts.items() if name in wanted}
    return found
