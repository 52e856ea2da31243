"""Recoveries to a point in time."""

from functools import partial

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.api.access import Caller, CurrentService
from app.api.bodies import RecoverBody
from app.api.openapi_responses import STARTS_RUN
from app.api.run_responses import Launch
from app.documents.runs import RunFacts
from app.domain.restores.points import RecoverRequest, parse_point


router = APIRouter(prefix="/api/admin/recoveries", tags=["restores"])


@router.post("", status_code=202, response_model=RunFacts, responses=STARTS_RUN)
async def start_recovery(
    identity: Caller, service: CurrentService, launch: Launch, body: RecoverBody
) -> RunFacts | JSONResponse:
    """
    Make a backup of a point in time, from a backup before it and the binary log since then.

    A scratch server of this machine replays the log; the server itself is not asked and not touched. What
    comes of it is an ordinary backup. `dry_run` only says where it would begin and end.
    """
    texts = (body.to_gtid, body.before_gtid, body.to_position)
    point = parse_point(body.to_time, *(text or "" for text in texts))
    request = RecoverRequest(point, body.databases, service.program.settings.threads)
    jobs = service.program.recovery_jobs
    if body.dry_run:
        return await launch(partial(jobs.dry_run, request), identity)
    return await launch(partial(jobs.recovery, request), identity)
