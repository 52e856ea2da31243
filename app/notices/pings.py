"""
Pings of dead-man services, which send alerts themselves when no ping comes any more.

`URL/start` when a backup of a schedule begins, `URL` when it was made, `URL/fail` when it failed. Each
address has its own queue, so a start never comes after its end, and nobody waits for it.

Not guaranteed: what is still waiting when the process ends is not sent, which is what such services are
for.

Source:
    https://healthchecks.io/docs/signaling_failures/, https://healthchecks.io/docs/measuring_script_run_time/
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from app.domain.runs.run import Run, RunState
from app.notices.addresses import Address
from app.notices.silence import silence
from app.telemetry.bugs import heard


if TYPE_CHECKING:
    from httpx import AsyncClient

_log: Final = logging.getLogger(__name__)
# Such a service answers in less than one, and may be far away.
SECONDS: Final = 5.0
# Between attempts; three in all.
PAUSES: Final = (1.0, 5.0)
# Of each address; with an endpoint that hangs and a backup each minute, this is half an hour.
_MOST_WAITING: Final = 50


class Pings:
    """
    A RunListener.

    Args:
        addresses: Where to; their tags are names of schedules.
        seconds: How long one request may take.
        pauses: Seconds between the attempts.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        seconds: float = SECONDS,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._addresses = addresses
        self._seconds = seconds
        self._pauses = pauses
        self._client: AsyncClient | None = None
        self._turns = {address.name: asyncio.Lock() for address in addresses}
        self._tasks: dict[asyncio.Task[None], str] = {}

    async def begun(self, run: Run) -> None:
        """Ping that a backup of a schedule begins."""
        self._begin(run, suffix="/start")

    async def ended(self, run: Run) -> None:
        """Ping how a backup of a schedule has ended; one that was cancelled sends no ping."""
        if run.state is RunState.SUCCEEDED:
            self._begin(run, suffix="")
        elif run.state is RunState.FAILED:
            self._begin(run, suffix="/fail")

    async def close(self, seconds: float) -> None:
        """Wait a while for what is being sent, then give it up."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _begin(self, run: Run, *, suffix: str) -> None:
        """Begin the pings of a run in tasks of their own."""
        if not run.schedule:
            return
        for address in self._addresses:
            if address.tags and run.schedule not in address.tags:
                continue
            if list(self._tasks.values()).count(address.name) >= _MOST_WAITING:
                self._warn(address, "busy")
                continue
            task = asyncio.create_task(self._ping(address, suffix), name="ping")
            task.add_done_callback(heard(_log, "A ping"))
            self._tasks[task] = address.name
            task.add_done_callback(lambda task: self._tasks.pop(task, None))

    async def _ping(self, address: Address, suffix: str) -> None:
        async with self._turns[address.name]:
            reason = await self._attempt(address, suffix)
            for pause in self._pauses:
                if not reason:
                    return
                await asyncio.sleep(pause)
                reason = await self._attempt(address, suffix)
        if reason:
            self._warn(address, reason)

    async def _attempt(self, address: Address, suffix: str) -> str:
        """Send one request, and return why it failed, empty when it was taken."""
        # In a thread, for it takes a while, and only once.
        if self._client is None:
            self._client = await asyncio.to_thread(_client, self._seconds)
        client = self._client
        from httpx import HTTPError, InvalidURL  # noqa: PLC0415 - most commands need none of it

        try:
            # The status says all; of the body, which may have no end, nothing is read.
            async with (
                asyncio.timeout(self._seconds),
                client.stream("POST", _at(address.url, suffix)) as answer,
            ):
                return "" if answer.is_success else f"http-{answer.status_code}"
        except TimeoutError:
            return "timeout"
        except (HTTPError, InvalidURL, ValueError):  # its words hold the address
            return "no-answer"

    def _warn(self, address: Address, reason: str) -> None:
        facts = {"target": address.name, "error": reason}
        _log.warning("Ping of a dead-man service failed", extra={"facts": facts})


def _client(seconds: float) -> "AsyncClient":
    silence()
    from httpx import AsyncClient  # noqa: PLC0415

    return AsyncClient(follow_redirects=False, timeout=seconds, headers={"User-Agent": "Backstay"})


def _at(url: str, suffix: str) -> str:
    """Add to the path of an address, whatever query it has."""
    parts = urlsplit(url)
    return parts._replace(path=parts.path.rstrip("/") + suffix).geturl()
