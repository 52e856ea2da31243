"""What is asked of the history where programs are put together."""

from app.domain.runs.run import RunFilter
from app.domain.stores import Page, RunStore


async def newest_run(history: RunStore) -> str:
    """Return the id of the newest run; empty when there is none."""
    runs, _ = await history.list(RunFilter(), Page(limit=1))
    return runs[0].run_id if runs else ""
