"""Exit codes."""

import asyncio
import re

import pytest

from app import errors
from app.cli.exits import EXIT_CODES, exit_code, exit_code_of
from app.errors import AppError, BackupNotFoundError, DeliveryError


FAMILIES = {
    "NotFoundError": 10,
    "ConflictError": 11,
    "RefusedError": 12,
    "AccessError": 13,
    "DatabaseError": 20,
    "StorageError": 21,
    "IntegrityError": 22,
    "DeliveryError": 23,
}


def _tree(kind):
    return [kind, *(below for child in kind.__subclasses__() for below in _tree(child))]


@pytest.mark.parametrize("kind", _tree(AppError)[1:], ids=lambda kind: kind.__name__)
def test_every_error_exits_with_the_code_of_its_family(kind):
    """The nearest ancestor in the table decides, so a new error needs no new line."""
    family = next(cls.__name__ for cls in kind.__mro__ if cls.__name__ in FAMILIES)

    assert exit_code(kind.__new__(kind)) == FAMILIES[family]


def test_the_table_holds_the_families_and_nothing_else():
    """One line for each child of AppError, and one for each way to cancel."""
    assert {kind for kind in EXIT_CODES if issubclass(kind, AppError)} == set(
        AppError.__subclasses__()
    )
    assert exit_code(asyncio.CancelledError()) == exit_code(KeyboardInterrupt()) == 130
    assert exit_code(ValueError()) == exit_code(AppError("bare")) == 1


def test_the_drawn_tree_is_the_real_one():
    """The docstring of app.errors names every class under its family."""
    drawn = re.findall(r"^( *)[*x+-] (\w+Error)$", errors.__doc__ or "", re.MULTILINE)
    families: dict[str, list[str]] = {}
    for indent, name in drawn[1:]:
        if len(indent) == len("  "):
            families[name] = []
        else:  # drawn below its family
            families[list(families)[-1]].append(name)

    assert drawn[0] == ("", "AppError")
    assert {name: sorted(members) for name, members in families.items()} == {
        family.__name__: sorted(kind.__name__ for kind in _tree(family)[1:])
        for family in AppError.__subclasses__()
    }


def test_codes_are_names_of_their_own():
    """Kebab-case, and no two errors share one."""
    codes = [kind.code for kind in _tree(AppError)]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


def test_a_command_that_went_on_after_errors_exits_as_the_first():
    """The others are in what it prints; without any it is a success."""
    assert exit_code_of([BackupNotFoundError("x"), DeliveryError("x")]) == 10
    assert exit_code_of([]) == 0
