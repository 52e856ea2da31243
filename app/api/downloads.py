"""Files of backups, sent whole or in ranges."""

import asyncio
import base64
from contextlib import suppress
from typing import Final

from fastapi import HTTPException
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from app.api.openapi_responses import READS_ONE, Responses
from app.archive.file.stored import StoredArchive
from app.bootstrap.program import Program
from app.concurrency import Bound, shielded
from app.errors import TooManyRequestsError


_BINARY: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
DOWNLOADS: Final[Responses] = {
    200: {"description": "The whole file.", "content": _BINARY},
    206: {"description": "The range that was asked for.", "content": _BINARY},
    400: {"description": "A range that is none.", "content": {"text/plain": {}}},
    416: {"description": "The range lies outside of the file.", "content": {"text/plain": {}}},
    **READS_ONE,
}


class Download(FileResponse):
    """
    The data file of a backup, which nobody can delete until the answer is over.

    Args:
        archive: The backup; closed at the end.
        places: One of them was taken, and is given back at the end.
        seconds: How long it may take.
    """

    def __init__(self, archive: StoredArchive, places: Bound, seconds: float) -> None:
        published = archive.published
        digest = base64.b64encode(bytes.fromhex(published.checksum)).decode()
        super().__init__(
            archive.full_path,
            media_type="application/octet-stream",
            filename=published.name.file,
            headers={
                "ETag": f'"{published.checksum}"',
                "Repr-Digest": f"sha-256=:{digest}:",
            },
        )
        self._archive = archive
        self._places = places
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until all is sent, nobody is there any more, or the time is over; then let the file go."""
        sending = asyncio.create_task(super().__call__(scope, receive, send))
        leaving = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait(
                [sending, leaving], timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            leaving.cancel()
            if not sending.done():
                sending.cancel()
            await shielded(self._finish(sending, leaving))
        if not sending.cancelled():
            sending.result()

    async def _finish(self, *tasks: "asyncio.Task[None]") -> None:
        await asyncio.wait(tasks)
        await asyncio.to_thread(self._archive.close)
        self._places.release()


async def _disconnected(receive: Receive) -> None:
    """Wait until nobody is there any more, or somebody sends a body that is refused."""
    with suppress(HTTPException):  # too late to be an answer; the download ends
        while (await receive())["type"] != "http.disconnect":
            continue


async def open_download(program: Program, backup_id: str) -> Download:
    """
    Begin to send a backup.

    Returns:
        Its answer; it gives its place back at the end.

    Raises:
        TooManyRequestsError: So many go on already.
        BackupNotFoundError: There is none of this id.
    """
    places = program.bounds.downloads
    if not places.take():
        raise TooManyRequestsError(
            f"{places.limit} downloads go on already",
            hint="Wait until one is over; BACKSTAY_MAX_DOWNLOADS says how many there may be.",
        )
    try:
        archive = await asyncio.to_thread(program.catalogue.stored, backup_id)
    except BaseException:
        places.release()
        raise
    return Download(archive, places, program.settings.download_hours * 3600)
