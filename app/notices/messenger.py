"""
Alerts, sent by apprise.

Each is sent in a thread of its own that nobody waits for at exit: apprise blocks, and a target may hang
for as long as it likes. One thread a target at a time, so there are never more than targets.

Source:
    https://appriseit.com/library/
"""

import asyncio
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from app.domain.alerts.alert import REPORTS, AlertKind
from app.domain.alerts.notice import Notice, NoticeKind
from app.errors import InvalidRequestError
from app.notices.addresses import Address
from app.notices.silence import silence


if TYPE_CHECKING:
    from apprise import AppriseAsset, AppriseResult, NotifyBase

_STATUS: Final = re.compile(r"\berror=(\d{3})\b")
_NO_ANSWER: Final = re.compile(r"connection error", re.IGNORECASE)


class AppriseMessenger:
    """
    A Messenger.

    Args:
        addresses: Where messages can go.
    """

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._addresses = {address.name: address for address in addresses}
        self._services: dict[str, NotifyBase] = {}
        self._busy: set[str] = set()
        self._loading = threading.Lock()

    def targets_for(self, kind: AlertKind) -> tuple[str, ...]:
        """See `Messenger.targets_for`."""
        takes_all = kind not in REPORTS
        return tuple(
            address.name
            for address in self._addresses.values()
            if (takes_all and not address.tags) or kind in address.tags or kind is AlertKind.TEST
        )

    def load(self) -> None:
        """
        Let apprise read all addresses; takes half a second when there are any.

        Raises:
            InvalidRequestError: It does not understand one; named by its place and scheme.
        """
        for number, address in enumerate(self._addresses.values(), 1):
            if self._service(address) is None:
                scheme = address.url.partition("://")[0]
                raise InvalidRequestError(
                    f"BACKSTAY_ALERT_URLS: address {number}, a {scheme}, is not understood",
                    hint="See docs/alerts.md for what such an address looks like.",
                )

    async def send(self, target: str, notice: Notice, seconds: float) -> str:
        """
        Send a message to one target, and wait for its answer.

        Returns:
            Empty when the target has taken it; otherwise `timeout`, `busy` while it has not yet
            answered to an earlier one, `http-500` and the like, `no-answer`, `refused`, `unknown` for
            a target that is not there, or `invalid` for one that apprise does not understand.
        """
        address = self._addresses.get(target)
        if address is None:
            return "unknown"
        if target in self._busy:
            return "busy"
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._busy.add(target)
        threading.Thread(
            target=self._deliver, args=(address, notice, answer), name="notice", daemon=True
        ).start()
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            return "timeout"

    def _deliver(self, address: Address, notice: Notice, answer: "asyncio.Future[str]") -> None:
        """Send a message in this thread, and give the outcome to the loop, if it is still there."""
        outcome = "refused"
        try:
            service = self._service(address)
            outcome = "invalid" if service is None else _notify(service, notice)
        finally:
            self._busy.discard(address.name)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                answer.get_loop().call_soon_threadsafe(_resolve, answer, outcome)

    def _service(self, address: Address) -> "NotifyBase | None":
        silence()
        # Here, because it takes longer to import than most commands to run.
        from apprise import Apprise  # noqa: PLC0415

        from app.notices.brevity import keep_answers_short  # noqa: PLC0415

        keep_answers_short()
        with self._loading:
            if address.name not in self._services:
                service = Apprise.instantiate(address.url, asset=_asset())
                if service is None:
                    return None
                # Whatever the address says: pauses between attempts are ours, and are logged.
                service.retry, service.optional, service.redirects = 0, False, False
                # A target that has had enough says so, and is tried again later.
                service.request_rate_per_sec = 0
                self._services[address.name] = service
            return self._services[address.name]


def _asset() -> "AppriseAsset":
    """Say what apprise may do, and what it says about the sender instead of itself."""
    from apprise import AppriseAsset  # noqa: PLC0415

    return AppriseAsset(
        app_id="Backstay",
        app_desc="Backstay",
        app_url="",
        # Pictures would be fetched from a host that nobody has named.
        image_url_mask="",
        image_url_logo="",
        http_redirects=False,
        # The caller's thread is the only one, and nothing is kept in files.
        async_mode=False,
        service_timeout=0,
        storage_mode="memory",
        pgp_autogen=False,
        pem_autogen=False,
    )


def _resolve(answer: "asyncio.Future[str]", outcome: str) -> None:
    if not answer.done():
        answer.set_result(outcome)


def _notify(service: "NotifyBase", notice: Notice) -> str:
    from apprise import Apprise, NotifyFormat, NotifyType  # noqa: PLC0415

    types = {
        NoticeKind.ALARM: NotifyType.FAILURE,
        NoticeKind.RECOVERY: NotifyType.SUCCESS,
        NoticeKind.TEST: NotifyType.INFO,
        NoticeKind.REPORT: NotifyType.INFO,
    }
    carrier = Apprise(asset=service.asset)
    carrier.add(service)
    return _reason(
        carrier.notify(
            body=notice.body,
            title=notice.subject,
            notify_type=types[notice.kind],
            body_format=NotifyFormat.TEXT,
        )
    )


def _reason(result: "AppriseResult") -> str:
    """Say why a message was not taken, without the words of whoever refused it."""
    if result:
        return ""
    texts = [
        entry.message
        for outcome in result
        for attempt in outcome.attempts
        for entry in attempt.logs
    ]
    for text in texts:
        if status := _STATUS.search(text):
            return f"http-{status[1]}"
    return "no-answer" if any(map(_NO_ANSWER.search, texts)) else "refused"
