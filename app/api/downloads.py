"""Files of backups, sent whole or in ranges."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from fastapi import HTTPException
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from app.api.openapi_responses import READS_ONE, Responses
from app.archive.file.stored import StoredArchive
from app.bootstrap.program import Program
from app.concurrency import Bound, shielded
from app.domain.access.user import Identity
from app.domain.rights import Effect, may
from app.errors import AppError, NotAuthenticatedError, TooManyRequestsError


_BINARY: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
DOWNLOADS: Final[Responses] = {
    200: {"description": "The whole file.", "content": _BINARY},
    206: {"description": "The range that was asked for.", "content": _BINARY},
    400: {"description": "A range that is none.", "content": {"text/plain": {}}},
    416: {"description": "The range lies outside of the file.", "content": {"text/plain": {}}},
    **READS_ONE,
}


# A login that has ended, or a role that is not enough any more, ends a download within two seconds.
_LOGIN_CHECK_SECONDS: Final = 1.0


class Download(FileResponse):
    """
    The data file of a backup, which nobody can delete until the answer is over.

    Args:
        archive: The backup; closed at the end.
        places: One of them was taken, and is given back at the end.
        seconds: How long it may take.
        is_allowed: Whether whoever takes it still may; asked again and again.
    """

    def __init__(
        self,
        archive: StoredArchive,
        places: Bound,
        seconds: float,
        is_allowed: Callable[[], Awaitable[bool]],
    ) -> None:
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
        self._is_allowed = is_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until all is sent, nobody is there or may have it any more, or the time is over; then let the file go."""
        sending = asyncio.create_task(super().__call__(scope, receive, send))
        ends = [
            asyncio.create_task(_disconnected(receive)),
            asyncio.create_task(self._forbidden()),
        ]
        try:
            await asyncio.wait(
                [sending, *ends], timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for end in ends:
                end.cancel()
            if not sending.done():
                sending.cancel()
            await shielded(self._finish(sending, *ends))
        if not sending.cancelled():
            sending.result()

    async def _forbidden(self) -> None:
        """Wait until whoever takes it may not any more."""
        is_allowed = True  # a moment ago
        while is_allowed:
            await asyncio.sleep(_LOGIN_CHECK_SECONDS)
            is_allowed = await self._is_allowed()

    async def _finish(self, *tasks: "asyncio.Task[None]") -> None:
        await asyncio.wait(tasks)
        await asyncio.to_thread(self._archive.close)
        self._places.release()


async def _disconnected(receive: Receive) -> None:
    """Wait until nobody is there any more, or somebody sends a body that is refused."""
    with suppress(HTTPException):  # too late to be an answer; the download ends
        while (await receive())["type"] != "http.disconnect":
            continue


async def open_download(
    program: Program, backup_id: str, confirm: Callable[[], Awaitable[Identity]]
) -> Download:
    """
    Begin to send a backup.

    Args:
        program: Has it.
        backup_id: Which one.
        confirm: Tells who takes it, as they are now; raises NotAuthenticatedError when their login is over.

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

    async def is_allowed() -> bool:
        try:
            return may((await confirm()).role, Effect.TAKE)
        except NotAuthenticatedError:
            return False
        except AppError:  # nobody can tell now, and what has begun goes on
            return True

    return Download(archive, places, program.settings.download_hours * 3600, is_allowed)
