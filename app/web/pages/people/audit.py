"""The audit: who changed or was refused what; as a table for programs, and proven."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from http import HTTPStatus
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from app.api.access import CurrentService
from app.api.problems import status_of
from app.documents.access import AuditFacts
from app.domain.access.audit import AuditEntry
from app.domain.rights import OPERATIONS
from app.domain.stores import AuditFilter, Page
from app.errors import AuditBrokenError, InvalidRequestError
from app.services.access.audit import AuditService
from app.web.days import is_day, span_of
from app.web.filters import action_words
from app.web.paging import Part, page_of
from app.web.rendering import render_as


router = APIRouter()

_DAY_RULE: Final = "A day such as 2026-01-31."
_Text = Annotated[str, Field(max_length=128)]
# As many as are in memory at once.
_BATCH: Final = 500
_COLUMNS: Final = (
    "number", "at", "actor", "role", "address", "action", "target", "status", "result", "run_id",
    "changes", "count", "digest", "key_id",
)  # fmt: skip
# What spreadsheets take for the beginning of a formula, also in its wide forms; and what they skip.
# Source: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_SKIPPED: Final = "\t\r\n "


class AuditQuery(BaseModel):
    """Which entries; empty = no condition. Days are of a zone, and the last one counts as a whole."""

    model_config = ConfigDict(frozen=True)

    actor: _Text = ""
    action: _Text = ""
    result: _Text = ""
    since: _Text = ""
    until: _Text = ""

    def errors(self) -> dict[str, str]:
        """Return what is wrong, by field."""
        days = {"since": self.since, "until": self.until}
        return {name: _DAY_RULE for name, text in days.items() if text and not is_day(text)}

    def as_filter(self, zone: ZoneInfo) -> AuditFilter:
        """Return what is looked for; a day that is none is left out."""
        wrong = self.errors()
        since, _ = span_of("" if "since" in wrong else self.since, zone)
        _, until = span_of("" if "until" in wrong else self.until, zone)
        return AuditFilter(
            self.actor.strip(),
            _action(self.action.strip()),
            self.result.strip(),
            since,
            until,
        )


class AuditPageQuery(AuditQuery):
    """A page of them."""

    page: Annotated[int, Field(ge=1, le=1_000_000)] = 1


@router.get("/audit", name="web:list_audit")
async def list_audit(
    request: Request, service: CurrentService, asked: Annotated[AuditPageQuery, Query()]
) -> Response:
    """List who changed or was refused what, newest first."""
    query, errors = asked.model_dump(exclude={"page"}), asked.errors()
    zone = ZoneInfo(service.program.settings.timezone)
    entries, total = await service.access.audit.list(
        asked.as_filter(zone), page_of(asked.page, sort="-number")
    )
    return render_as(
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        request,
        "audit.html",
        entries=[AuditFacts.of(entry) for entry in entries],
        part=Part(asked.page, total, query),
        query=query,
        errors=errors,
        actions=sorted(map(action_words, OPERATIONS)),
        zone=zone.key,
    )


@router.get("/audit.csv", name="web:list_audit.csv")
async def download_audit(
    service: CurrentService, asked: Annotated[AuditQuery, Query()]
) -> Response:
    """Send the same entries as a table for programs, oldest first, piece by piece."""
    if asked.errors():
        raise InvalidRequestError("a day is written such as 2026-01-31")
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    zone = ZoneInfo(service.program.settings.timezone)
    rows = _csv(service.access.audit, asked.as_filter(zone))
    return StreamingResponse(rows, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/audit/proof", name="web:verify_audit")
async def prove_audit(request: Request, service: CurrentService) -> Response:
    """Prove that nothing in the audit was changed, removed or cut off."""
    try:
        proof = await service.access.audit.verify()
    except AuditBrokenError as exc:
        status = status_of(type(exc))
        return render_as(status, request, "audit_proof.html", proof=None, error=exc)
    return render_as(HTTPStatus.OK, request, "audit_proof.html", proof=proof, error=None)


def _action(words: str) -> str:
    """Return the operation that is meant by its name or by how the page shows it."""
    return next(
        (name for name in OPERATIONS if action_words(name) == words), words.replace(" ", "_")
    )


async def _csv(audit: AuditService, wanted: AuditFilter) -> AsyncIterator[str]:
    """Yield lines; what is added meanwhile comes at the end."""
    yield _lines([_COLUMNS])
    offset = 0
    while True:
        entries, _ = await audit.list(wanted, Page(_BATCH, offset, sort="number"))
        yield _lines(map(_row, entries))
        if len(entries) < _BATCH:
            break
        offset += len(entries)


def _row(entry: AuditEntry) -> list[str]:
    event = entry.event
    known: dict[str, object] = {
        "number": entry.number,
        "at": event.at.isoformat(timespec="seconds"),
        "digest": entry.digest,
        "key_id": entry.key_id,
    }
    return [_safe(str(known.get(name, getattr(event, name, "")))) for name in _COLUMNS]


def _safe(text: str) -> str:
    """Keep spreadsheets from taking a text for a formula."""
    is_formula = text.lstrip(_SKIPPED).startswith(_FORMULA) or text[:1] in {"\t", "\r", "\n"}
    return f"'{text}" if is_formula else text


def _lines(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
