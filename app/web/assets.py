"""
What pages load: styles, scripts, pictures; all from here, under names that change with their content.

They are read once, when the first page is made, and kept in memory: under one megabyte.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final


_MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_DIGEST_DIGITS: Final = 12
_GZIP_LEVEL: Final = 9


@dataclass(frozen=True, slots=True)
class Asset:
    """
    One file that a browser may keep for ever.

    Attributes:
        file: Its name, with a digest of its content.
        media_type: What it is.
        body: As it is.
        compressed: The same, gzipped.
    """

    file: str
    media_type: str
    body: bytes
    compressed: bytes


@cache
def read_assets() -> dict[str, Asset]:
    """Read all assets by their plain names."""
    assets: dict[str, Asset] = {}
    for entry in files("app.web").joinpath("assets").iterdir():
        stem, _, extension = entry.name.rpartition(".")
        if extension not in _MEDIA_TYPES:
            continue  # licences and sums
        body = entry.read_bytes()
        digest = hashlib.sha256(body).hexdigest()[:_DIGEST_DIGITS]
        assets[entry.name] = Asset(
            f"{stem}.{digest}.{extension}",
            _MEDIA_TYPES[extension],
            body,
            gzip.compress(body, _GZIP_LEVEL, mtime=0),
        )
    return assets


@cache
def assets_by_file() -> dict[str, Asset]:
    """Return all assets by the names under which they are served."""
    return {asset.file: asset for asset in read_assets().values()}
