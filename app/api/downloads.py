"""Files of backups, sent whole or in ranges."""

import asyncio
import base64
from typing import Final

from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from app.api.openapi_responses import READS_ONE, Responses
from app.archive.file.reader import ArchiveReader


_BINARY: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
DOWNLOADS: Final[Responses] = {
    200: {"description": "The whole file.", "content": _BINARY},
    206: {"description": "The range that was asked for.", "content": _BINARY},
    400: {"description": "A range that is none.", "content": {"text/plain": {}}},
    416: {"description": "The range lies outside of the file.", "content": {"text/plain": {}}},
    **READS_ONE,
}


class Download(FileResponse):
    """The data file of a backup, which nobody can delete until the answer is over."""

    def __init__(self, reader: ArchiveReader) -> None:
        manifest = reader.manifest
        digest = base64.b64encode(bytes.fromhex(manifest.checksum)).decode()
        super().__init__(
            reader.full_path,
            media_type="application/octet-stream",
            filename=manifest.file,
            headers={
                "ETag": f'"{manifest.checksum}"',
                "Repr-Digest": f"sha-256=:{digest}:",
            },
        )
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, then let the file go, however that ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await asyncio.to_thread(self._reader.close)
