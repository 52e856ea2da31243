"""Privileges: what SHOW GRANTS means for a database."""

import pytest

from app.engine.flavor import flavor_of
from app.engine.server.grants import (
    Grants,
    missing_for_backup,
    missing_for_bodies,
    missing_for_definers,
    missing_for_guarded,
    missing_for_restore,
    missing_for_session,
    missing_in_scratch,
    missing_to_skip_log,
    read_grants,
    require,
)
from app.errors import PermissionDeniedError


MARIADB = flavor_of("10.11.6-MariaDB")
MYSQL = flavor_of("8.4.5")
ALL_FOR_BACKUP = "SELECT, SHOW VIEW, TRIGGER, EVENT"


RIGHTS = {
    "`shop`.*": frozenset(ALL_FOR_BACKUP.split(", ")),
    "`mysql`.`proc`": frozenset({"SELECT"}),
}


class FakeSession:
    """Answers the two questions that `read_grants` asks."""

    flavor = MARIADB

    def __init__(self, lines):
        self._lines = lines

    async def texts(self, _sql):
        """Return SHOW GRANTS."""
        return [(line,) for line in self._lines]

    async def scalar(self, _sql):
        """Return CURRENT_USER()."""
        return "it's@%"


async def grants_of(*lines):
    """Read lines of SHOW GRANTS."""
    return await read_grants(FakeSession(lines))  # type: ignore[arg-type]  # all that is asked of it


async def test_a_global_right_holds_everywhere():
    """A right on everything holds everywhere, and nothing else does."""
    grants = await grants_of(
        "GRANT SELECT, RELOAD, BINLOG MONITOR ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*X' WITH GRANT OPTION"
    )

    assert grants.allows("SELECT")
    assert grants.allows("SELECT", "any")
    assert grants.allows("BINLOG MONITOR")
    assert not grants.allows("TRIGGER", "any")


async def test_all_privileges_is_every_right_in_its_scope():
    """ALL PRIVILEGES is every right, in its scope."""
    grants = await grants_of(
        "GRANT USAGE ON *.* TO `u`@`%`", "GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`"
    )

    assert missing_for_restore(grants, ["shop"]) == []
    assert [gap.right for gap in missing_for_backup(grants, ["shop"]) if gap.required] == []
    assert not grants.allows("SELECT", "shop2")


@pytest.mark.parametrize(
    ("scope", "database", "covered"),
    [
        ("`db\\_x`.*", "db_x", True),
        ("`db\\_x`.*", "dbyx", False),
        ("`db_x`.*", "dbyx", True),
        ("`db_x`.*", "db_xy", False),
        ("`db%`.*", "db", True),
        ("`db%`.*", "dbanything", True),
        ("`db\\%`.*", "db%", True),
        ("`db\\%`.*", "dbx", False),
        ("`a``b`.*", "a`b", True),
        ("`a*b`.*", "axb", False),
        ("`a*b`.*", "a*b", True),
        ("`[ab]`.*", "a", False),
        ("`[ab]`.*", "[ab]", True),
        ("`what?`.*", "whatx", False),
        ("`Shop`.*", "shop", False),
        ("`a\\\\b`.*", "a\\b", True),
        ("`a\\b`.*", "a\\b", False),
        ("`a\\b`.*", "ab", True),
        ("`c\\\\\\_`.*", "c\\_", True),
        ("`c\\\\_`.*", "c\\x", True),
        ("```a```.*", "`a`", True),
        ("```a```.*", "a", False),
        ("`a\n%`.*", "a\nb", True),
    ],
)
async def test_underscore_and_percent_are_wildcards_unless_escaped(scope, database, covered):
    """Underscore and percent are wildcards unless escaped; what Python's globs know is plain text."""
    grants = await grants_of(f"GRANT SELECT ON {scope} TO `u`@`%`")

    assert grants.allows("SELECT", database) is covered


async def test_a_right_on_a_table_is_none_on_its_database():
    """A right on a table or on columns is not one on its database, but on some of it."""
    grants = await grants_of(
        "GRANT SELECT (`a`, `b`), INSERT ON `shop`.`users` TO `u`@`%`",
        "GRANT TRIGGER ON `shop`.`users` TO `u`@`%`",
    )

    assert not grants.allows("INSERT", "shop")
    assert grants.allows_some("INSERT", "shop")
    assert grants.allows_some("TRIGGER", "shop")
    assert not grants.allows_some("TRIGGER", "sho")


async def test_a_scope_may_hold_a_space():
    """A database's name may hold a space."""
    grants = await grants_of("GRANT SELECT ON `my shop`.* TO `u`@`%`")

    assert grants.allows("SELECT", "my shop")


async def test_a_right_on_columns_is_none_on_the_table():
    """Who may read some columns cannot back the table up."""
    grants = await grants_of("GRANT SELECT (`a`) ON `shop`.`users` TO `u`@`%`")

    assert not grants.allows_some("SELECT", "shop")


async def test_lines_about_roles_and_proxies_are_no_rights():
    """Lines about roles and proxies are no rights; those of an active role stand on lines of their own."""
    grants = await grants_of(
        "GRANT `reader` TO `u`@`%`",
        "GRANT PROXY ON ''@'' TO 'u'@'%' WITH GRANT OPTION",
        "SET DEFAULT ROLE `reader` FOR `u`@`%`",
        f"GRANT {ALL_FOR_BACKUP} ON `shop`.* TO `reader`",
        "GRANT USAGE ON *.* TO `reader`",
    )

    assert grants.allows("EVENT", "shop")
    assert not grants.allows("PROXY")


async def test_two_lines_of_one_scope_add_up():
    """A user's own grants and those of a role hold together."""
    grants = await grants_of("GRANT SELECT ON `a`.* TO `u`@`%`", "GRANT EVENT ON `a`.* TO `r`")

    assert grants.allows("SELECT", "a")
    assert grants.allows("EVENT", "a")


@pytest.mark.parametrize("right", ALL_FOR_BACKUP.split(", "))
async def test_each_missing_right_is_named(right):
    """A backup without one right is refused with the GRANT that mends it."""
    others = ", ".join(other for other in ALL_FOR_BACKUP.split(", ") if other != right)
    grants = await grants_of(f"GRANT {others} ON `shop`.* TO `u`@`%`")

    with pytest.raises(PermissionDeniedError, match=f"lacks {right} on `shop`") as caught:
        require(missing_for_backup(grants, ["shop"]))

    assert f"GRANT {right} ON `shop`.* TO 'it\\'s'@'%';" in (caught.value.hint or "")


def test_a_right_that_only_makes_it_better_refuses_nothing():
    """Without RELOAD a backup takes a lower rung, and says what would help."""
    grants = Grants("'u'@'%'", MARIADB, RIGHTS)

    found = missing_for_backup(grants, ["shop"])

    assert {"RELOAD", "BINLOG MONITOR"} <= {gap.right for gap in found}
    assert not any(gap.required for gap in found)
    require(found)


async def test_chosen_tables_need_rights_on_them_only():
    """Grants on single tables are enough when tables were chosen."""
    grants = await grants_of("GRANT SELECT, SHOW VIEW, TRIGGER ON `shop`.`users` TO `u`@`%`")

    require(missing_for_backup(grants, ["shop"], only_tables=True))
    with pytest.raises(PermissionDeniedError):
        require(missing_for_backup(grants, ["shop"]))


async def test_rights_in_scratch_schemas_are_named_by_their_pattern():
    """The schemas do not exist yet: one GRANT on a pattern gives a right in those of every restore."""
    grants = await grants_of(
        "GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`%`",
        "GRANT SELECT, INSERT, CREATE, ALTER, INDEX, REFERENCES, TRIGGER, CREATE VIEW, SHOW VIEW,"
        " CREATE ROUTINE, ALTER ROUTINE, EVENT ON `shop\\_\\_bk\\_%`.* TO `u`@`%`",
    )

    found = missing_in_scratch(grants, {"shop__bk_new_0123456789ab": r"shop\_\_bk\_%"})

    assert [gap.right for gap in found] == ["DROP"]
    assert found[0].grant == r"GRANT DROP ON `shop\_\_bk\_%`.* TO 'it\'s'@'%';"
    assert found[0].required


async def test_all_privileges_lack_nothing_in_scratch_schemas():
    """Nor does anybody where there are none."""
    scratch = {"shop__bk_new_0123456789ab": r"shop\_\_bk\_%"}

    assert (
        missing_in_scratch(await grants_of("GRANT ALL PRIVILEGES ON *.* TO `u`@`%`"), scratch) == []
    )
    assert missing_in_scratch(await grants_of(), {}) == []
    assert missing_in_scratch(await grants_of(), scratch)


@pytest.mark.parametrize(
    ("rights", "definers", "missing"),
    [
        ("USAGE", [], False),
        ("USAGE", ["`u`@`%`", ""], False),
        ("USAGE", ["`u`@`%`", "`root`@`localhost`"], True),
        ("SUPER", ["`root`@`localhost`"], False),
        ("SET USER", ["`root`@`localhost`"], False),
        ("SET_USER_ID", ["`root`@`localhost`"], False),
        ("ALL PRIVILEGES", ["`root`@`localhost`"], False),
    ],
)
def test_objects_of_others_need_a_right_of_their_own(rights, definers, missing):
    """Own ones, and those without a definer, need none."""
    grants = Grants("'u'@'%'", MARIADB, {"*.*": frozenset({rights})})

    found = missing_for_definers(grants, definers)

    assert [gap.right for gap in found] == (["SET USER"] if missing else [])
    assert all(gap.grant == "GRANT SET USER ON *.* TO 'u'@'%';" and gap.required for gap in found)


@pytest.mark.parametrize(
    ("scope", "rights", "definers", "missing"),
    [
        ("*.*", "USAGE", [], False),
        ("*.*", "USAGE", ["`u`@`%`"], False),
        ("*.*", "USAGE", ["`u`@`%`", "`root`@`localhost`"], True),
        ("`shop`.*", "CREATE ROUTINE", ["`root`@`localhost`"], True),
        ("`mysql`.`proc`", "SELECT", ["`root`@`localhost`"], False),
        ("`mysql`.*", "SELECT", ["`root`@`localhost`"], False),
        ("*.*", "SELECT", ["`root`@`localhost`"], False),
    ],
)
def test_routines_of_others_cannot_be_read_back_without_their_right(
    scope, rights, definers, missing
):
    """Who may create one may not yet read it, and a restore that cannot be proven is refused."""
    grants = Grants("'u'@'%'", MARIADB, {scope: frozenset({rights})})

    found = missing_for_bodies(grants, definers)

    assert [(gap.right, gap.scope) for gap in found] == [("SELECT", "`mysql`.`proc`")] * missing


def test_rights_that_the_server_named_are_asked_for_once():
    """Whatever else is there: who has a right is not told that it is missing."""
    guarded = {"`root`@`localhost`": "SYSTEM_USER", "`no`@`no`": "ALLOW_NONEXISTENT_DEFINER"}

    found = missing_for_guarded(Grants("'u'@'%'", MYSQL, {}), guarded | {"`a`@`b`": "SYSTEM_USER"})

    assert [right.grant for right in found] == [
        f"GRANT {right} ON *.* TO 'u'@'%';"
        for right in ("ALLOW_NONEXISTENT_DEFINER", "SYSTEM_USER")
    ]


@pytest.mark.parametrize(
    ("flavor", "right", "enough"),
    [
        (MARIADB, "BINLOG ADMIN", "SUPER"),
        (MYSQL, "SESSION_VARIABLES_ADMIN", "SYSTEM_VARIABLES_ADMIN"),
    ],
)
def test_the_right_to_leave_the_binary_log_has_the_servers_own_name(flavor, right, enough):
    """The GRANT that is advised is one that this server knows."""
    without = missing_to_skip_log(Grants("'u'@'%'", flavor, {}))

    assert [(gap.right, gap.scope) for gap in without] == [(right, "*.*")]
    assert missing_to_skip_log(Grants("'u'@'%'", flavor, {"*.*": frozenset({enough})})) == []


def test_what_a_mysql_session_may_not_set_is_a_wish():
    """A restore does without the right; MariaDB asks for none."""
    found = missing_for_session(Grants("'u'@'%'", MYSQL, {}))

    assert [(gap.right, gap.required) for gap in found] == [("SESSION_VARIABLES_ADMIN", False)]
    assert missing_for_session(Grants("'u'@'%'", MYSQL, {"*.*": frozenset({"SUPER"})})) == []
    assert missing_for_session(Grants("'u'@'%'", MARIADB, {})) == []


def test_what_makes_a_mysql_snapshot_better_is_named():
    """Each as that server calls it."""
    found = missing_for_backup(Grants("'u'@'%'", MYSQL, RIGHTS), ["shop"])

    wished = {gap.right for gap in found if not gap.required}
    assert wished == {"BACKUP_ADMIN", "RELOAD", "REPLICATION CLIENT", "PROCESS"}


async def test_a_right_that_was_revoked_in_part_holds_everywhere_else():
    """MySQL prints it as a REVOKE; a right on the database itself gives it back."""
    grants = await grants_of(
        "GRANT SELECT, INSERT ON *.* TO `u`@`%`",
        "REVOKE INSERT, DROP ON `shop`.* FROM `u`@`%`",
        "GRANT DROP ON `shop`.* TO `u`@`%`",
    )

    assert grants.allows("INSERT")
    assert grants.allows("INSERT", "shop2")
    assert grants.allows("SELECT", "shop")
    assert grants.allows("DROP", "shop")
    assert not grants.allows("INSERT", "shop")


def test_with_partial_revokes_a_pattern_is_a_name():
    """A right by a pattern holds for a database of just that name; one for the scratch schemas is global."""
    scope = {r"`shop\_\_bk\_%`.*": frozenset({"ALL PRIVILEGES"}), "`a_b`.*": frozenset({"SELECT"})}
    grants = Grants("u", MYSQL, scope, has_patterns=False)
    name = "shop__bk_new_0123456789ab"

    assert grants.allows("SELECT", "a_b")
    assert not grants.allows("SELECT", "acb")
    missing = missing_in_scratch(grants, {name: r"shop\_\_bk\_%"})
    assert {(gap.scope, gap.grant.partition(" ON ")[2]) for gap in missing} == {
        ("*.*", "*.* TO u;")
    }
