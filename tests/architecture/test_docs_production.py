"""docs/production.md: rights and units are what the program and the system take."""

import pytest

from app.engine.flavor import flavor_of
from app.engine.privileges import (
    missing_for_backup,
    missing_for_bodies,
    missing_for_definers,
    missing_for_restore,
    missing_in_scratch,
    read_grants,
)
from tests.fixtures.grants import granted, printed


SERVERS = {"MariaDB": "10.11.6-MariaDB", "MySQL": "8.4.5"}
OTHERS = ["`shop`@`%`"]


class _Session:
    """Answers as a server where somebody has run the statements of a section."""

    def __init__(self, grants):
        self._grants = grants

    async def texts(self, _sql):
        return [
            (f"GRANT {', '.join(rights)} ON {scope} TO `u`@`%`",) for rights, scope in self._grants
        ]

    async def scalar(self, _sql):
        return "u@%"


async def _missing(server, grants, *, restores):
    held = await read_grants(_Session(grants))
    flavor = flavor_of(SERVERS[server])
    found = missing_for_backup(held, flavor, ["shop"])
    if restores:
        found += missing_for_restore(held, ["shop"])
        found += missing_in_scratch(held, {"shop__bk_new_1": r"shop\_\_bk\_%"})
        found += missing_for_definers(held, flavor, OTHERS)
        found += missing_for_bodies(held, flavor, OTHERS)
    return found


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("restores", [False, True], ids=["backups", "restores"])
async def test_the_printed_rights_are_those_that_the_program_asks_for(server, restores):
    """All of them are enough; without any one of the needed ones exactly that one is missing."""
    heading = f"{server}: backups" + " and restores" * restores
    needed = printed(heading, only_needed=True)

    assert await _missing(server, printed(heading), restores=restores) == []
    for right, scope in granted(needed):
        rest = [
            ([one for one in rights if (one, of) != (right, scope)], of) for rights, of in needed
        ]
        found = await _missing(server, [one for one in rest if one[0]], restores=restores)
        required = {(one.right, one.scope) for one in found if one.required}
        assert required == {(right, scope)}
