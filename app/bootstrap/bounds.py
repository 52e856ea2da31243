"""How much of everything there may be at once, as the settings say."""

from dataclasses import dataclass
from typing import Self

from app.concurrency import Bound
from app.config import Settings
from app.domain.runs.run import RunKind
from app.telemetry.repeats import Repeats


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    One bound for each setting that limits something; each is on `/metrics`.

    Attributes:
        connections: To the API, in sum.
        per_client: Connections to the API, or requests behind a trusted proxy, by address.
        header_seconds: How long headers of a request are waited for; its limit is a time.
        body_seconds: The same for its body.
        answer_seconds: The same for somebody who reads the answer.
        downloads: Of backups.
        server_connections: To the server that is backed up, in sum over all runs.
        log_repeats: Lines of the log, by kind and minute; only its hits are counted.
        runs: By kind; kinds that are not here exclude each other by what they work on.
    """

    connections: Bound
    per_client: Bound
    header_seconds: Bound
    body_seconds: Bound
    answer_seconds: Bound
    downloads: Bound
    server_connections: Bound
    log_repeats: Bound
    runs: dict[RunKind, Bound]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make them, all free."""
        return cls(
            connections=Bound("max_connections", settings.max_connections),
            per_client=Bound("max_client_connections", settings.max_client_connections),
            header_seconds=_uncounted("header_seconds", settings.header_seconds),
            body_seconds=_uncounted("body_seconds", settings.body_seconds),
            answer_seconds=_uncounted("answer_seconds", settings.answer_seconds),
            downloads=Bound("max_downloads", settings.max_downloads),
            server_connections=Bound("max_server_connections", settings.max_server_connections),
            log_repeats=_uncounted("log_repeats", settings.log_repeats),
            runs={
                RunKind.VERIFICATION: Bound("max_verifications", settings.max_verifications),
                RunKind.RESTORE: Bound("max_restores", settings.max_restores),
                RunKind.DRILL: Bound("max_drills", settings.max_drills),
                RunKind.DRY_RUN: Bound("max_dry_runs", settings.max_dry_runs),
            },
        )

    @property
    def all(self) -> tuple[Bound, ...]:
        """Return every one, with the lines of the log that were left out as they are now."""
        self.log_repeats.hits = Repeats.left_out
        return (
            self.log_repeats,
            self.connections,
            self.per_client,
            self.header_seconds,
            self.body_seconds,
            self.answer_seconds,
            self.downloads,
            self.server_connections,
            *self.runs.values(),
        )


def _uncounted(name: str, limit: int) -> Bound:
    return Bound(name, limit, counts=False)
