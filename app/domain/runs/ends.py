"""Ends of runs as files: what the history could not take, until it can."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, JsonValue

from app.domain.runs.progress import ProgressReport
from app.domain.runs.run import Failure, Origin, Run, RunId, RunKind, RunState


class _End(BaseModel):
    """A run, field by field."""

    model_config = ConfigDict(from_attributes=True, frozen=True, defer_build=True)

    run_id: str
    kind: RunKind
    state: RunState
    requested_by: str
    origin: Origin
    owner: str
    created_at: datetime
    backup_id: str
    restore_id: str
    request: dict[str, JsonValue]
    revision: int
    cancel_requested: bool
    started_at: datetime | None
    finished_at: datetime | None
    progress: ProgressReport | None
    result: dict[str, JsonValue] | None
    error: Failure | None

    @classmethod
    def of(cls, run: Run) -> Self:
        """Take over every field; what was asked for may hold tuples, which JSON has not."""
        request, result = (json.loads(json.dumps(part)) for part in (run.request, run.result))
        return cls.model_validate(replace(run, request=request, result=result))


def encode_end(run: Run) -> bytes:
    """Encode a run as JSON for its file."""
    return _End.of(run).model_dump_json().encode()


def decode_end(data: bytes) -> Run:
    """
    Decode a run.

    Returns:
        What was encoded.

    Raises:
        ValueError: It is damaged, or of another version of the program.
    """
    end = _End.model_validate_json(data)
    return Run(
        run_id=RunId(end.run_id),
        kind=end.kind,
        state=end.state,
        requested_by=end.requested_by,
        origin=end.origin,
        owner=end.owner,
        created_at=end.created_at,
        backup_id=end.backup_id,
        restore_id=end.restore_id,
        request=end.request,
        revision=end.revision,
        cancel_requested=end.cancel_requested,
        started_at=end.started_at,
        finished_at=end.finished_at,
        progress=end.progress,
        result=end.result,
        error=end.error,
    )
