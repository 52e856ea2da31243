"""Every option and argument of every command with texts that nobody means: a documented end, and never a traceback."""

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.exits import EXIT_CODES
from app.cli.program import build_program
from tests.fixtures import forked_program
from tests.fixtures.archives import make_backup
from tests.fixtures.series import series


DOCUMENTED = {0, 2, *EXIT_CODES.values()}
NOWHERE = "mysql://nobody:hunter2secret@127.0.0.1:1/"
RED = "\x1b[31m"
VALUES = (
    "", "-1", "0", "9" * 23, "9" * 5000, "\udcff\udcfe", "a\nb", "nan", "inf", "1e999", "+inf", "٣", "1_000", "x" * 70_000,
    "/etc/passwd", "../..", "latest", "%s{0}", "2026-13-45T99:99", "9999-12-31T23:59:59.999999+00:00",
    "0001-01-01T00:00:00-23:59", "mysql://[::1", "[bold]x[/nosuch]", f"{RED}red", "\U0001f600",
    "backup_65ba1f2f3d4e5",
)  # fmt: skip
# They last, or would work whatever they are told.
LASTING = {("demo",), ("serve",), ("binlog", "run")}
Case = tuple[str, ...]
# All of them in the long form, dealt out to as many worlds as several workers share.
PARTS = series(3, 8)


def _commands(command: Any, path: Case = ()) -> Iterator[tuple[Case, Any]]:
    for name, below in sorted(command.commands.items()):
        if hasattr(below, "commands"):
            yield from _commands(below, (*path, name))
        elif (*path, name) not in LASTING:
            yield (*path, name), below.load()


def _given(parameter: Any, value: str) -> Case:
    is_argument = parameter.param_type_name == "argument"
    return (value,) if is_argument else (f"{parameter.opts[0]}={value}",)


def _cases() -> Iterator[Case]:
    """Give each option and argument that takes a text some of the values, and what else is needed."""
    values = itertools.cycle(VALUES)
    for path, command in _commands(build_program()):
        for tried in command.params:
            if getattr(tried, "is_flag", False) or tried.name == "help":
                continue
            needed = [
                parameter
                for parameter in command.params
                if parameter.required and parameter is not tried
            ]
            others = [text for parameter in needed for text in _given(parameter, "latest")]
            for _ in range(series(1, len(VALUES))):
                yield (*path, *others, *_given(tried, next(values)))


@pytest.mark.long
@pytest.mark.parametrize("part", range(series(1, PARTS)))
def test_no_text_ends_in_a_traceback(tmp_path, part):
    """Beside three backups, without a server; whatever is printed has no secret and no colour of its own."""
    backups = tmp_path / "backups"
    for number in (1, 2, 3):
        make_backup(backups, number)
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "BACKSTAY_BACKUP_DIR": str(backups),
        "BACKSTAY_STATE_DIR": str(tmp_path / "state"),
        "BACKSTAY_DATABASE_URL": NOWHERE,
    }
    cases = list(_cases())
    random.Random(14).shuffle(cases)  # noqa: S311 - no secret; a deletion early on would hide much
    assert len({case[:2] for case in cases}) > 30
    for number, case in enumerate(cases[part::PARTS]):
        arguments = (*case, *["--json"] * (number % 2))
        code, said = _run(arguments, environment, tmp_path)
        where = f"{[text[:60] for text in arguments]}: {code}\n{said[-3000:]}"
        assert code in DOCUMENTED, where
        assert not [word for word in ("Traceback", "hunter2secret", RED) if word in said], where


def _run(arguments: Case, environment: dict[str, str], home: Path) -> tuple[int, str]:
    """Run a command; returns its code, and all that it has printed."""
    with (home / "out").open("wb") as out:
        process = forked_program.start(
            arguments, environment=environment, out=out.fileno(), err=out.fileno(), directory=home
        )
        code = process.wait()
    return code, (home / "out").read_text("utf-8", "backslashreplace")
