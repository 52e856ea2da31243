"""Whether a backup can be the base of a recovery: what the binary log holds since then is applied to it."""

from dataclasses import dataclass, replace
from typing import Final

from app.domain.backups.manifest import Manifest, PositionEntry


# How the dump says that a table could not be kept still.
_MOVED: Final = "not of the snapshot's point"


@dataclass(frozen=True, slots=True)
class RecoveredState:
    """
    The state of a server that a scratch server holds, for the backup that is made of it.

    Attributes:
        base: Id of the backup that it was recovered from.
        stream: Id of the archived binary log.
        position: What a backup of the server itself would have had there.
        server_id: By which the server is told from others.
    """

    base: str
    stream: str
    position: PositionEntry
    server_id: str

    def described_in(self, draft: Manifest) -> Manifest:
        """Say in the manifest of that backup whose state it holds."""
        return replace(
            draft,
            position=self.position,
            recovered_from=self.base,
            recovered_in=self.stream,
            server=replace(draft.server, server_id=self.server_id),
        )


def unfitness(manifest: Manifest) -> str:
    """
    Say why a backup is no base, by what it says of itself.

    Returns:
        The reason; empty = nothing is against it. Whether the archive of the binary log holds its
        position is another question.
    """
    options, position = manifest.options, manifest.position
    if not manifest.consistency.consistent or any(_MOVED in text for text in manifest.warnings):
        return "not all of its tables are of one point"
    if not position.binlog_file:
        return "it has no position in the binary log"
    if position.prepared:
        return f"{position.prepared} XA transactions were prepared, and not ended, when it was made"
    if not options.include_data or options.tables or options.exclude_tables:
        return "tables or rows were left out of it"
    return ""


def databases_of(manifest: Manifest) -> tuple[str, ...]:
    """Return the databases that a backup is limited to; empty = it holds all there were."""
    requested = manifest.options.requested
    return manifest.options.databases if requested is None else requested
