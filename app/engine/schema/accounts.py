"""
Users, roles and grants: only on request, because they belong to the server, not to a database.

They are read by SHOW CREATE USER and SHOW GRANTS, never from tables of `mysql`, which differ between
versions. An account that exists on the target is left as it is, with all its grants and its password.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.backups.manifest import Manifest, MemberKind, StatementKind
from app.domain.ports import MemberSource, Statement
from app.engine.server.connection import Session
from app.engine.sql.ddl import tokens
from app.engine.sql.quoting import quote, quote_text
from app.errors import DatabaseError, ManifestError, StatementError


# Made by the server itself.
_SYSTEM: Final = frozenset(
    {"mariadb.sys", "mysql", "mysql.sys", "mysql.session", "mysql.infoschema", "PUBLIC"},
)
# Accounts by host name on a server that resolves no names.
_INVISIBLE: Final = frozenset({1133, 1141})
_LEGAL: Final = (b"CREATE USER ", b"CREATE ROLE ", b"GRANT ", b"SET DEFAULT ROLE ")


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
        return quote(self.user) if self.role else f"{quote_text(self.user)}@{quote_text(self.host)}"


async def read_accounts(session: Session) -> list[Account]:
    """Return all accounts that are not the server's own, roles first."""
    is_role = "is_role" if session.flavor.roles_are_marked else "'N'"
    rows = await session.texts(f"SELECT User, Host, {is_role} FROM mysql.user ORDER BY User, Host")
    accounts = [Account(user, host, role == "Y") for user, host, role in rows]
    found = [account for account in accounts if account.user not in _SYSTEM]
    return sorted(found, key=lambda account: not account.role)


async def account_statements(session: Session) -> tuple[list[Statement], list[str]]:
    """
    Write all accounts.

    Returns:
        Roles, users, grants, default roles, each statement named after its account; and warnings
        about accounts that the server does not show.

    Raises:
        PermissionDeniedError: The user may not read accounts; the hint holds the GRANT.
        StatementError: The server refused.
    """
    made: list[Statement] = []
    grants: dict[str, str] = {}
    warnings = []
    for account in await read_accounts(session):
        try:
            made.append(_statement(await _create(session, account), account.label))
            lines = await session.texts(f"SHOW GRANTS FOR {account.sql}")
        except StatementError as exc:
            if exc.errno not in _INVISIBLE:
                raise
            warnings.append(f"account {account.label} is not shown by the server and left out")
            continue
        for (line,) in lines:
            grant = _without_password(line)
            if not grant.startswith("GRANT USAGE ON *.*"):
                # A role's grants are listed again under each role that holds it.
                grants.setdefault(grant, account.label)
    ordered = sorted(grants.items(), key=lambda item: item[0].startswith("SET DEFAULT"))
    return [*made, *(_statement(grant, label) for grant, label in ordered)], warnings


async def load_accounts(session: Session, manifest: Manifest, source: MemberSource) -> list[str]:
    """
    Create the accounts of a backup that are not on the server yet.

    Returns:
        Warnings: accounts that were left alone, and statements that failed, without their text.

    Raises:
        ManifestError: A statement is not about accounts.
    """
    here = {account.label for account in await read_accounts(session)}
    warnings = []
    kept = set()
    for member in manifest.members:
        if member.kind is not MemberKind.OBJECTS or member.database:
            continue
        texts = await source.read(member)
        for entry, text in zip(member.statements, texts, strict=True):
            if entry.kind is not StatementKind.ACCOUNT:
                continue
            if not text.startswith(_LEGAL):
                raise ManifestError("what is listed as an account is none")
            if entry.name in here:
                kept.add(entry.name)
                continue
            try:
                await session.query(text, redact=True)
            except DatabaseError as exc:
                warnings.append(f"account {entry.name}: {exc}")
    return [*(f"account {name} exists and was left as it is" for name in sorted(kept)), *warnings]


async def _create(session: Session, account: Account) -> str:
    if account.role:
        return f"CREATE ROLE IF NOT EXISTS {account.sql}"
    printed = await session.scalar(f"SHOW CREATE USER {account.sql}")
    return f"CREATE USER IF NOT EXISTS {printed.removeprefix('CREATE USER ')}"


def _statement(sql: str, label: str) -> Statement:
    return Statement(StatementKind.ACCOUNT, f"{sql};\n".encode(), name=label)


def _without_password(grant: str) -> str:
    """Drop IDENTIFIED BY or VIA from a GRANT: it would change the password of an account."""
    kept: list[str] = []
    dropping = False
    for part in tokens(grant):
        if part[0] in "'\"`":
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
