"""Work to be done as a run."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from app.documents.base import Document
from app.domain.document import JsonObject
from app.domain.runs.progress import Progress
from app.domain.runs.run import RunKind
from app.storage.run_locks import Resource


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job(Generic[T]):
    """
    Work to be done as a run.

    Attributes:
        work: Does it.
        document: Describes what came of it.
        resources: What no other run may have meanwhile.
        takes_place: Whether it is one of so many of its kind that may go on at once.
        backup_id: Backup that it works with; empty while it is not known.
        restore_id: Restore or undo that it will make; empty for other kinds.
        request: What was asked for, for the history.
        claim: The last question, when the locks are held: raises NotDueError when somebody else was
            faster. None = there is nothing to ask.
    """

    kind: RunKind
    work: Callable[[Progress], Awaitable[T]]
    document: Callable[[T], Document]
    resources: tuple[Resource, ...] = ()
    takes_place: bool = True
    backup_id: str = ""
    restore_id: str = ""
    request: JsonObject = field(default_factory=dict)
    claim: Callable[[], Coroutine[object, object, object]] | None = None
