"""A list of an object store, page by page."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import obstore
from obstore.store import AzureStore, GCSStore, S3Store


if TYPE_CHECKING:  # it is there for the checker only
    from obstore import ObjectMeta

_PAGE: Final = 1000


class Pages:
    """The pages of a list; one whose answer was lost is asked for once more, behind the one before it."""

    def __init__(self, cloud: S3Store | GCSStore | AzureStore, folder: str) -> None:
        self._cloud = cloud
        self._folder = folder
        self._last = ""
        self._stream: Iterator[Sequence[ObjectMeta]] | None = None

    def turn(self) -> "Sequence[ObjectMeta]":
        """Return the next page, empty behind the last; raises what obstore raises, and may be called again."""
        stream, self._stream = self._stream, None
        if stream is None:
            stream = obstore.list(
                self._cloud, self._folder or None, offset=self._last or None, chunk_size=_PAGE
            )
        page = next(stream, ())
        self._stream = stream
        self._last = page[-1]["path"] if page else self._last
        return page
