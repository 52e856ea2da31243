"""
Users, roles and grants: only on request, because they belong to the server, not to a database.

They are read by SHOW CREATE USER and SHOW GRANTS, never from tables of `mysql`, which differ between
versions. An account that exists on the target is left as it is, with all its grants and its password.
"""

import re
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.backups.manifest import Manifest, MemberKind, StatementKind
from app.domain.ports import MemberSource, Statement
from app.engine.server.connection import Session
from app.engine.sql.ddl import is_quoted, tokens, unquoted_name, unquoted_parts
from app.engine.sql.quoting import about_package, quote, quote_text
from app.errors import DatabaseError, ManifestError, StatementError


# Made by the server itself, for this host alone.
_SYSTEM: Final = frozenset(
    {"mariadb.sys", "mysql", "mysql.sys", "mysql.session", "mysql.infoschema"},
)
_SYSTEMS_HOST: Final = "localhost"
# MariaDB's role of everybody: it is there, and cannot be made, quoted or given a password.
_EVERYBODY: Final = "PUBLIC"
# Accounts by host name on a server that resolves no names.
# Source: https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords
_SECOND_PASSWORDS: Final = (
    "SELECT User, Host FROM mysql.user"
    " WHERE JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password') ORDER BY User, Host"
)
_INVISIBLE: Final = frozenset({1133, 1141})
_LEGAL: Final = (b"CREATE USER ", b"CREATE ROLE ", b"GRANT ", b"REVOKE ", b"SET DEFAULT ROLE ")
_NOTHING: Final = "GRANT USAGE ON *.*"
# Source: https://mariadb.com/kb/en/sql-mode/#no_auto_create_user
_KEEPS_OUT: Final = "NO_AUTO_CREATE_USER"
# For the client, which goes on with --force where an account could not be made.
NO_ACCOUNTS: Final = Statement(
    StatementKind.TEXT,
    f"/*M! SET SESSION sql_mode = CONCAT_WS(',', @@SESSION.sql_mode, '{_KEEPS_OUT}') */;\n".encode(),
)
_OPTION: Final = "GRANT OPTION"
_TO: Final = re.compile(r" TO (PUBLIC\b|\Z)")
_ON_PACKAGE: Final = re.compile(rb"GRANT [A-Z ,]+ ON PACKAGE\b")
_ON_ROUTINE: Final = re.compile(r"GRANT [A-Z ,]+ ON (?:PROCEDURE|FUNCTION|PACKAGE)\b")
# Libraries of MySQL are in no backup.
_ON_LIBRARY: Final = re.compile(r"GRANT [A-Z ,]+ ON LIBRARY\b")
_COLUMNS: Final = re.compile(rb"\(([^()]*)\)")
_GLOBAL: Final = re.compile(rb"GRANT .+ ON \*\.\* TO ", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Account:
    """One user or role."""

    user: str
    host: str
    role: bool

    @property
    def label(self) -> str:
        """Return its name for people and for the manifest."""
        return self.user if self.role else f"{self.user}@{self.host}"

    @property
    def sql(self) -> str:
        """Return its quoted name."""
        if self.user == _EVERYBODY and self.role:
            return _EVERYBODY
        return quote(self.user) if self.role else f"{quote_text(self.user)}@{quote_text(self.host)}"


async def read_accounts(session: Session) -> list[Account]:
    """Return all accounts that are not the server's own, roles first."""
    is_role = "is_role" if session.flavor.roles_are_marked else "'N'"
    rows = await session.texts(f"SELECT User, Host, {is_role} FROM mysql.user ORDER BY User, Host")
    accounts = [Account(user, host, role == "Y") for user, host, role in rows]
    found = [
        account
        for account in accounts
        if account.user not in _SYSTEM or account.host != _SYSTEMS_HOST
    ]
    return sorted(found, key=lambda account: not account.role)


@dataclass(frozen=True, slots=True)
class AccountScript:
    """
    All accounts of a server as statements, each named after its account.

    Attributes:
        made: Roles and users; objects may belong to them.
        grants: On the server, databases and tables, views among them; default roles last.
        on_routines: Grants that the routine must be there for.
        warnings: Accounts that the server does not show.
    """

    made: Sequence[Statement] = ()
    grants: Sequence[Statement] = ()
    on_routines: Sequence[Statement] = ()
    warnings: Sequence[str] = ()


async def account_statements(session: Session) -> AccountScript:
    """
    Write all accounts.

    Returns:
        Them, in the order in which they load.

    Raises:
        PermissionDeniedError: The user may not read accounts; the hint holds the GRANT.
        StatementError: The server refused.
    """
    made: list[Statement] = []
    grants: dict[str, str] = {}
    defaults: dict[str, str] = {}
    warnings = []
    for account in await read_accounts(session):
        try:
            create, default = await _create(session, account)
            lines = await session.texts(f"SHOW GRANTS FOR {account.sql}")
        except StatementError as exc:
            if exc.errno not in _INVISIBLE:
                raise
            warnings.append(f"account {account.label} is not shown by the server and left out")
            continue
        if create:
            made.append(_statement(create, account.label))
        if default:
            defaults[default] = account.label
        found = [_without_password(line) for (line,) in lines]
        warnings += _left_out(account, found)
        for grant in filter(_gives_something, found):
            grants.setdefault(grant, _role_of(grant) or account.label)
    ordered = sorted(grants.items(), key=lambda item: item[0].startswith("SET DEFAULT"))
    written = [_statement(*item) for item in (*ordered, *defaults.items())]
    on_routines = [found for found in written if _ON_ROUTINE.match(found.sql.decode())]
    others = [found for found in written if found not in on_routines]
    return AccountScript(made, others, on_routines, [*warnings, *await _second_passwords(session)])


async def _second_passwords(session: Session) -> list[str]:
    """Warn of passwords that an account has besides its own, which no statement of the server shows."""
    try:
        rows = await session.texts(_SECOND_PASSWORDS)
    except StatementError:  # MariaDB has none
        return []
    return [
        f"account {name}@{host} has a second password (RETAIN CURRENT PASSWORD), which is not in the backup"
        for name, host in rows
    ]


async def make_no_accounts(session: Session) -> None:
    """Let a session grant nothing to accounts that are not there: MariaDB would make them, without a password."""
    if _KEEPS_OUT not in session.flavor.needless_modes:
        mode = f"CONCAT_WS(',', @@SESSION.sql_mode, {quote_text(_KEEPS_OUT)})"
        await session.query(f"SET SESSION sql_mode = {mode}")


async def load_accounts(session: Session, manifest: Manifest, source: MemberSource) -> list[str]:
    """
    Create the accounts of a backup that are not on the server yet.

    Returns:
        Warnings: accounts that were left alone, statements that failed, without their text, and
        accounts that have not the rights of the backup.

    Raises:
        ManifestError: A statement is not about accounts.
    """
    here = {account.label for account in await _existing(session)}
    unlimited = await _unlimited(session, manifest, source)
    warnings = [
        f"account {name}: its rights on the whole server were not granted, because partial_revokes,"
        " which takes some of them away again, is off here"
        for name in sorted(unlimited - here)
    ]
    kept = set()
    await make_no_accounts(session)  # one that could not be made gets no rights either
    async for name, text in _account_texts(manifest, source):
        if not text.startswith(_LEGAL) or not _takes_own(name, text):
            raise ManifestError("what is listed as an account is none")
        if name in here:
            kept.add(name)
            continue
        if name in unlimited and (text.startswith(b"REVOKE ") or _GLOBAL.match(text)):
            continue
        try:
            is_plain = not _ON_PACKAGE.match(text)
            await session.query(
                text if is_plain else about_package(text.decode().removesuffix(";\n")), redact=True
            )
        except DatabaseError as exc:
            warnings.append(f"account {name}: {exc}")
    left = [f"account {name} exists and was left as it is" for name in sorted(kept)]
    return [*left, *warnings, *await _compare(session, manifest, source, here | unlimited)]


def _in_order(statement: bytes) -> bytes:
    """Sort lists of columns: the server prints them in the order of a hash."""
    return _COLUMNS.sub(
        lambda found: b"(" + b", ".join(sorted(found[1].split(b", "))) + b")", statement
    )


async def _compare(
    session: Session, manifest: Manifest, source: MemberSource, leave: Collection[str]
) -> list[str]:
    """Read back the accounts that were made; another version prints some otherwise."""
    if manifest.server.version != await session.scalar("SELECT VERSION()"):
        return []
    script = await account_statements(session)
    texts = (*script.made, *script.grants, *script.on_routines)
    there = {_in_order(found.sql) for found in texts}
    different = {
        name
        async for name, text in _account_texts(manifest, source)
        if name not in leave and _in_order(text) not in there
    }
    return [
        f"account {name}: not all of its rights are as in the backup" for name in sorted(different)
    ]


def _takes_own(label: str, text: bytes) -> bool:
    """Tell whether a REVOKE takes from the account that it is listed for; other statements take nothing."""
    user, _, host = label.rpartition("@")
    return not text.startswith(b"REVOKE ") or text.endswith(
        f" FROM {quote(user)}@{quote(host)};\n".encode()
    )


async def _account_texts(
    manifest: Manifest, source: MemberSource
) -> AsyncIterator[tuple[str, bytes]]:
    """Yield the statements about accounts in their order, each behind the name of its account."""
    for member in manifest.members:
        if member.kind is MemberKind.OBJECTS and not member.database:
            texts = await source.read(member)
            for entry, text in zip(member.statements, texts, strict=True):
                if entry.kind is StatementKind.ACCOUNT:
                    # Earlier versions named those to a role after another one that holds it.
                    yield _role_of(text.decode("utf-8", "replace")) or entry.name, text


async def _existing(session: Session) -> list[Account]:
    """Return the accounts that are there; that of everybody only when it has rights."""
    found = await read_accounts(session)
    if any(account.sql == _EVERYBODY for account in found):
        rows = await session.texts(f"SHOW GRANTS FOR {_EVERYBODY}")
        if not any(_gives_something(line) for (line,) in rows):
            return [account for account in found if account.sql != _EVERYBODY]
    return found


def _left_out(account: Account, grants: Sequence[str]) -> list[str]:
    """Warn of rights on what no backup holds: a file would end there."""
    if not any(map(_ON_LIBRARY.match, grants)):
        return []
    return [
        f"account {account.label}: its rights on libraries, which are not in the backup, are left out"
    ]


def _gives_something(grant: str) -> bool:
    """Tell whether a grant gives more than the account itself; limits and passwords are of the account."""
    if _ON_LIBRARY.match(grant):
        return False
    return not grant.startswith(_NOTHING) or _OPTION in "".join(unquoted_parts(grant))


def _role_of(grant: str) -> str:
    """
    Name the role that a grant is to.

    Returns:
        Its name; with the grants to a role a server lists those to the roles that it holds. Empty when it is to a user.
    """
    parts = [*tokens(grant), "", ""]
    for part, name, after in zip(parts, parts[1:], parts[2:], strict=False):
        found = None if is_quoted(part) else _TO.search(part)
        if found and not after.startswith("@"):
            return found[1] or unquoted_name(name)
    return ""


async def _unlimited(session: Session, manifest: Manifest, source: MemberSource) -> set[str]:
    """Name the accounts that would get rights here which a REVOKE should take away, and cannot."""
    limited = {
        name async for name, text in _account_texts(manifest, source) if text.startswith(b"REVOKE ")
    }
    if not limited or await session.scalar("SELECT @@GLOBAL.partial_revokes") == "1":
        return set()
    return limited


async def _create(session: Session, account: Account) -> tuple[str, str]:
    """Return what makes an account, and what gives a user of MySQL the default roles, which must be there."""
    if account.sql == _EVERYBODY:
        return "", ""
    if account.role:
        return f"CREATE ROLE IF NOT EXISTS {account.sql}", ""
    printed = await session.scalar(f"SHOW CREATE USER {account.sql}")
    plain, roles = _without_default_roles(printed.removeprefix("CREATE USER "))
    default = f"SET DEFAULT ROLE {roles} TO {account.sql}" if roles else ""
    return f"CREATE USER IF NOT EXISTS {plain}", default


def _without_default_roles(printed: str) -> tuple[str, str]:
    """Take DEFAULT ROLE out of what SHOW CREATE USER prints; returns the roles as well."""
    kept: list[str] = []
    roles: list[str] = []
    taking = kept
    for part in tokens(printed):
        is_text = is_quoted(part)
        before, begins, behind = part.partition(" DEFAULT ROLE ")
        if begins and not is_text:
            kept.append(before)
            roles.append(behind)
            taking = roles
            continue
        before, ends, behind = part.partition(" REQUIRE ")
        if ends and not is_text and taking is roles:
            roles.append(before)
            kept.append(ends + behind)
            taking = kept
            continue
        taking.append(part)
    return "".join(kept), "".join(roles)


def _statement(sql: str, label: str) -> Statement:
    return Statement(StatementKind.ACCOUNT, f"{sql};\n".encode(), name=label)


def _without_password(grant: str) -> str:
    """Drop IDENTIFIED BY or VIA from a GRANT: it would change the password of an account."""
    kept: list[str] = []
    dropping = False
    for part in tokens(grant):
        if is_quoted(part):
            if not dropping:
                kept.append(part)
            continue
        before, identified, _ = part.partition(" IDENTIFIED ")
        if identified:
            kept.append(before)
            dropping = True
        elif dropping:
            begin = min((i for i in _ends(part) if i >= 0), default=-1)
            if begin >= 0:
                dropping = False
                kept.append(part[begin:])
        else:
            kept.append(part)
    return "".join(kept)


def _ends(part: str) -> Sequence[int]:
    return part.find(" REQUIRE "), part.find(" WITH ")
