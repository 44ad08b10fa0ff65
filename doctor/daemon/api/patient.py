"""uvicorn's server, woken less often: it looks ten times a second whether it shall end, which is most of what it costs."""

from __future__ import annotations

import asyncio

import uvicorn

_LOOK_SECONDS = 0.5
"""Longest time from the wish to end to its being seen; the daemon has five seconds to end in."""

_TICKS_A_SECOND = 10
"""uvicorn renews the date header at every tenth tick."""


class PatientServer(uvicorn.Server):
    """The same in everything else."""

    async def main_loop(self) -> None:
        """Until ``should_exit``."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += _TICKS_A_SECOND
            await asyncio.sleep(_LOOK_SECONDS)
