"""uvicorn's server, that sleeps until it is asked something: it would look ten times a second whether it shall end."""

from __future__ import annotations

import asyncio

import uvicorn


class PatientServer(uvicorn.Server):
    """The same in everything else. The date header is the application's: the server's own is renewed by waking."""

    _loop: asyncio.AbstractEventLoop | None = None
    _wish: asyncio.Event | None = None

    async def main_loop(self) -> None:
        """Until ``end``."""
        self._wish = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # The wish may have come before there was anything to wake.
        if not await self.on_tick(0):
            await self._wish.wait()

    def end(self) -> None:
        """Have it end; from any thread, at any time."""
        self.should_exit = True
        if self._loop is not None and self._wish is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wish.set)
