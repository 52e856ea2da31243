"""Commands about stores; they need no database server, and no service."""

from dataclasses import asdict
from typing import Annotated, Final

import typer

from app.bootstrap.stores import build_stores
from app.cli.execution import execute, read_settings
from app.cli.exits import exit_code_of
from app.cli.options import AsJson
from app.cli.output import CommandResult, plural, print_line
from app.cli.tables import print_table
from app.documents.stores import StoreList, StoreTested
from app.domain.backups.retention import RetentionPolicy
from app.domain.store_trial import StoreFacts, StoreTrial


_MARKS: Final = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


def list_(as_json: AsJson = False) -> None:
    """List the stores by name, as stores.toml and BACKSTAY_STORES define them."""

    async def work() -> CommandResult:
        stores = await build_stores(read_settings()).list()
        return CommandResult(StoreList.of(stores), lambda: _show_stores(stores))

    execute(work, as_json=as_json)


def _show_stores(stores: tuple[StoreFacts, ...]) -> None:
    if not stores:
        print_line("No stores. docs/stores.md says how to define one.")
        return
    rows = [(store.name, store.kind, store.place, _kept(store), _rules(store)) for store in stores]
    print_table(("Name", "Kind", "Place", "Keeps", "Deletion"), rows)


def _kept(store: StoreFacts) -> str:
    rules = asdict(store.retention or RetentionPolicy())
    return " ".join(f"{name}={count:g}" for name, count in rules.items() if count) or "everything"


def _rules(store: StoreFacts) -> str:
    if store.append_only:
        return "never, append-only"
    days = store.object_lock_days
    return f"locked for {plural(days, 'day')}" if days else "allowed"


def try_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the store.")],
    as_json: AsJson = False,
) -> None:
    """Write, read, list and delete in a store what a backup would, and say what is missing."""

    async def work() -> CommandResult:
        trial = await build_stores(read_settings()).test(name)
        errors = [check.error for check in trial.checks if check.error is not None]
        return CommandResult(
            StoreTested.of(trial), lambda: _show_trial(trial), exit_code_of(errors)
        )

    execute(work, as_json=as_json)


def _show_trial(trial: StoreTrial) -> None:
    print_line(f"{trial.store.name}: {trial.store.place}")
    width = max(len(check.name) for check in trial.checks)
    for check in trial.checks:
        print_line(f"{_MARKS[check.state]}  {check.name:<{width}}  {check.detail}")
        if check.remedy:
            print_line(f"{'':<{width + 8}}-> {check.remedy}")
