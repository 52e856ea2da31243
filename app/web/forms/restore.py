"""
The form of a restore: from fields to a request and back, and what must hold before it is sent.

The server decides: the target's name typed, the password given lately, and a dry run of the very same
request that has succeeded a moment ago, unless somebody skips it and says so.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.datastructures import FormData

from app.domain.backups.manifest import Manifest
from app.domain.document import adapter_of
from app.domain.restores.restore import RestorePlan, RestoreRequest
from app.domain.runs.run import Run, RunKind, RunState
from app.services.jobs import requested
from app.web.forms.tables import exactly


DRY_RUN_LIFETIME: Final = timedelta(minutes=15)
TYPED_DIGITS: Final = 5
_FLAGS: Final = ("schema_only", "data_only", "accounts", "skip_binlog")
# On unless somebody takes them off.
_USUAL: Final = ("verify_before", "verify_after", "create_backup")
_MOST_TEXT: Final = 64
_PLACES: Final = frozenset({"place", "into"})
_DRILL: Final = "drill"
_OPTIONS: Final = {
    "schema_only": "--schema-only",
    "data_only": "--data-only",
    "accounts": "--accounts",
    "skip_binlog": "--skip-binlog",
    "verify_before": "--no-verify-before",
    "verify_after": "--no-verify-after",
    "create_backup": "--no-recovery-point",
}


def form_errors(form: FormData, *, restores: bool = False) -> dict[str, str]:
    """
    Say what of a form cannot be meant; empty = nothing.

    A request without names asks for everything, so an empty choice must not become one, nor may names
    be passed over because the choice beside them was not made.

    Args:
        form: What was sent.
        restores: Whether a restore is to come of it, which is not what somebody wants who chose a drill.

    Returns:
        Reasons, by `scope` and `where`.
    """
    errors = {}
    scope = str(form.get("scope", ""))
    # Ticked by the link that led there, and by nobody.
    preset = set(form.getlist("preset")) if scope != "databases" else set()
    sent = {
        "databases": not preset.issuperset(form.getlist("database")),
        "tables": bool(
            form.getlist("table")
            or form.getlist("pattern")
            or str(form.get("patterns", "")).split()
        ),
    }
    if scope not in {"all", *sent}:
        errors["scope"] = "Choose what is to be restored."
    elif scope in sent and not sent[scope]:
        errors["scope"] = f"Choose at least one of the {scope}."
    elif other := [name for name in sent if name != scope and sent[name]]:
        errors["scope"] = f"Single {other[0]} are chosen too: choose them alone, or none of them."
    where, into = str(form.get("where", "")), str(form.get("into", "")).strip()
    if where not in {*_PLACES, _DRILL}:
        errors["where"] = "Choose where to."
    elif where == "into" and not into:
        errors["where"] = "Type the name of the database."
    elif where != "into" and into:
        errors["where"] = "Another name is typed: choose it, or leave the field empty."
    elif where == _DRILL and restores:
        errors["where"] = (
            "A drill has no dry run to skip: the button Dry run begins it. To restore, choose where to."
        )
    return errors


def ambiguity(form: FormData, plan: RestorePlan) -> str:
    """
    Say that a plan has more tables than were ticked; empty = it has not.

    `a.b` is the table `b` of the database `a`, and every table that is called `a.b`.

    Returns:
        The reason, for people.
    """
    ticked = set(map(str, form.getlist("table")))
    if not ticked or form.getlist("pattern") or str(form.get("patterns", "")).split():
        return ""
    planned = [
        f"{load.entry.name}.{table.name}" for load in plan.loads for table in load.entry.tables
    ]
    if len(planned) == len(ticked):
        return ""
    more = next((name for name in planned if name not in ticked), planned[0])
    return f"Their names mean {more} as well: tick it too, or take everything."


def request_of(form: FormData, backup_id: str, threads: int) -> RestoreRequest:
    """Read what is to be restored, and how; names are exact, `patterns` are globs."""
    scope = str(form.get("scope", "all"))
    tables = [str(name) for name in form.getlist("table")]
    patterns = [*map(str, form.getlist("pattern")), *str(form.get("patterns", "")).split()]
    flags = {name: name in form for name in _FLAGS}
    usual = {name: f"no_{name}" not in form for name in _USUAL}
    return RestoreRequest(
        backup_id=backup_id,
        into=str(form.get("into", "")).strip() if form.get("where") == "into" else "",
        databases=tuple(map(str, form.getlist("database"))) if scope == "databases" else (),
        tables=(*map(exactly, tables), *patterns) if scope == "tables" else (),
        threads=threads,
        **flags,
        **usual,
    )


def fields_of(request: RestoreRequest) -> Iterator[tuple[str, str]]:
    """Yield the fields of a form that asks for the same once more."""
    yield "scope", "tables" if request.tables else "databases" if request.databases else "all"
    yield "where", "into" if request.into else "place"
    yield "into", request.into
    for pattern in request.tables:
        yield "pattern", pattern
    for name in request.databases:
        yield "database", name
    for name in _FLAGS:
        if getattr(request, name):
            yield name, "on"
    for name in _USUAL:
        if not getattr(request, name):
            yield f"no_{name}", "on"


def choices_of(request: RestoreRequest, manifest: Manifest, *, is_drill: bool) -> FormData:
    """Return the fields of the form in which such a request was chosen: ticks where names are exact."""
    names = {f"{entry.name}.{table.name}" for entry in manifest.databases for table in entry.tables}
    exact = {exactly(name): name for name in names}
    fields = [(name, value) for name, value in fields_of(request) if name != "pattern"]
    fields += [("where", "drill")] if is_drill else []
    fields += [("table", exact[pattern]) for pattern in request.tables if pattern in exact]
    others = [pattern for pattern in request.tables if pattern not in exact]
    # In a field whose words are apart, one that has a space would be two, of other tables.
    fields += [("pattern", pattern) for pattern in others if pattern.split() != [pattern]]
    typed = " ".join(pattern for pattern in others if pattern.split() == [pattern])
    return FormData([*fields, ("patterns", typed)])


def request_again(run: Run) -> RestoreRequest:
    """Return what a restore, a drill or a dry run was asked for."""
    return adapter_of(RestoreRequest).validate_python({**run.request, "backup_id": run.backup_id})


def command_of(request: RestoreRequest) -> str:
    """Return the command that does the same, for a shell."""
    words = ["backstay", "restore", "run", request.backup_id]
    words += ["--into", request.into] if request.into else []
    for option, names in (("--database", request.databases), ("--table", request.tables)):
        for name in names:
            words += [option, name]
    words += [
        option for name, option in _OPTIONS.items() if getattr(request, name) == (name in _FLAGS)
    ]
    return shlex.join(words)


def body_of(request: RestoreRequest) -> str:
    """Return the body of a request to the API that asks for the same: what is not as usual."""
    usual = requested(RestoreRequest(request.backup_id))
    asked = requested(request)
    return json.dumps({name: value for name, value in asked.items() if value != usual[name]})


def word_to_type(plan: RestorePlan) -> str:
    """Return what is typed before a restore: the target's name, or the end of the backup's id."""
    names = [load.target for load in plan.loads]
    # Spaces are not seen, and a field that is pasted into loses them.
    is_plain = (
        len(names) == 1
        and names[0].isascii()
        and names[0].isprintable()
        and names[0] == " ".join(names[0].split())
    )
    return (
        names[0]
        if is_plain and len(names[0]) <= _MOST_TEXT
        else plan.manifest.backup_id[-TYPED_DIGITS:]
    )


@dataclass(frozen=True, slots=True)
class Sentence:
    """
    A restore in one sentence, by its dry run.

    Attributes:
        targets: Names of the databases.
        replaced: How many tables are replaced.
        dropped: How many go that the backup has not.
        created: How many come that are not there.
        made_at: When the backup was made.
        is_known: Whether there are counts.
    """

    targets: tuple[str, ...]
    replaced: int
    dropped: int
    created: int
    made_at: datetime
    is_known: bool


def sentence_of(plan: RestorePlan, manifest: Manifest, run: Run | None) -> Sentence:
    """Put together what is going to happen; counts are only known by a dry run."""
    targets = tuple(load.target for load in plan.loads)
    counts = {"replace": 0, "drop": 0, "create": 0, "keep": 0}
    for action in _actions(run.result if run else None):
        counts[action] = counts.get(action, 0) + 1
    return Sentence(
        targets,
        counts["replace"],
        counts["drop"],
        counts["create"],
        manifest.created_at,
        is_known=run is not None,
    )


def _actions(result: Mapping[str, object] | None) -> Iterator[str]:
    tables = result.get("tables", []) if result else []
    for table in tables if isinstance(tables, list) else []:
        if isinstance(table, dict):
            yield str(table.get("action", ""))


def dry_run_problem(run: Run | None, request: RestoreRequest, now: datetime) -> str:
    """Tell why a dry run does not allow a restore; empty = it does."""
    if run is None or run.kind is not RunKind.DRY_RUN:
        return "There is no dry run of this restore; make one, or skip it."
    if run.state is not RunState.SUCCEEDED or not (run.result or {}).get("success"):
        return "The dry run has found that the restore would be refused."
    if run.backup_id != request.backup_id or requested(request_again(run)) != requested(request):
        return "The dry run was of another restore; make one of this."
    if run.finished_at is None or now - run.finished_at > DRY_RUN_LIFETIME:
        return "The dry run is older than 15 minutes; make another one."
    return ""
