"""A file as the body of a response, whole or the range that was asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from rbee.runtime.concurrency import stop
from rbee.runtime.light_aiohttp import web


class FileResponse(web.FileResponse):
    """As aiohttp's, but it breaks off when the daemon is `over`: a reader may be slow."""

    def __init__(self, path: Path, over: asyncio.Event) -> None:
        super().__init__(path)
        self.content_type = "application/octet-stream"
        self._over = over

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Send the file. Raises ConnectionResetError if it breaks off."""
        sending = asyncio.create_task(super().prepare(request))
        ending = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({sending, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise ConnectionResetError("the daemon ends")
            return sending.result()
        finally:
            ending.cancel()
            await stop(sending)
