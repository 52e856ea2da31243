"""Commands on the users of the service; none needs a database server or a login."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal, NoReturn

import typer

from app.bootstrap.access import Access
from app.cli.access import execute_with_access
from app.cli.options import AsJson
from app.cli.output import CommandResult, moment, print_line
from app.cli.runs import record
from app.cli.streams import read_secret
from app.cli.tables import print_table
from app.documents.access import PrintedUser, PrintedUserList
from app.domain.access.audit import ChangeNote
from app.domain.access.user import Role, User
from app.services.access.users import UserService


RoleName = Literal["viewer", "operator", "admin"]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password as one line from stdin.")
]


def create(
    name: NameArgument,
    role: Annotated[
        RoleName | None,
        typer.Option(
            "--role",
            metavar="ROLE",
            help="viewer, operator or admin. Default: admin for the first user, then viewer.",
            show_default=False,
        ),
    ] = None,
    password_stdin: PasswordStdin = False,
    as_json: AsJson = False,
) -> None:
    """Add a user; asks for the password."""
    password = read_secret("Password", from_stdin=password_stdin)

    async def work(users: UserService, note: ChangeNote) -> User:
        default = Role.VIEWER if await users.count() else Role.ADMIN
        return await users.create(name, password, Role(role) if role else default, note)

    _change(
        work,
        lambda user: f"User {user.name} created as {user.role}.",
        "create_user",
        as_json=as_json,
    )


def list_(as_json: AsJson = False) -> None:
    """List the users by name."""

    async def work(access: Access) -> CommandResult:
        users = await access.users.list()
        return CommandResult(PrintedUserList.of(users), lambda: _show(users))

    execute_with_access(work, as_json=as_json)


def _show(users: Sequence[User]) -> None:
    if not users:
        print_line("No users.")
        return
    rows = [
        (user.name, user.role.value, moment(user.created_at), moment(user.disabled_at))
        for user in users
    ]
    print_table(("Name", "Role", "Created (UTC)", "Disabled (UTC)"), rows)


def disable(name: NameArgument, as_json: AsJson = False) -> None:
    """Disable a user, and end their sessions."""
    _change(
        lambda users, note: users.change(name, disabled=True, note=note),
        lambda user: f"User {user.name} disabled.",
        "disable_user",
        as_json=as_json,
    )


def enable(name: NameArgument, as_json: AsJson = False) -> None:
    """Enable a disabled user."""
    _change(
        lambda users, note: users.change(name, disabled=False, note=note),
        lambda user: f"User {user.name} enabled.",
        "enable_user",
        as_json=as_json,
    )


def password(
    name: NameArgument, password_stdin: PasswordStdin = False, as_json: AsJson = False
) -> None:
    """Set a user's password, and end their sessions; asks for the password."""
    new = read_secret("Password", from_stdin=password_stdin)
    _change(
        lambda users, note: users.change(name, password=new, note=note),
        lambda user: f"User {user.name} has a new password.",
        "set_password",
        as_json=as_json,
    )


def role(
    name: NameArgument,
    role: Annotated[RoleName, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")],
    as_json: AsJson = False,
) -> None:
    """Set a user's role."""

    async def work(users: UserService, note: ChangeNote) -> User:
        return await users.change(name, role=Role(role), note=note)

    _change(work, lambda user: f"User {user.name} is now {user.role}.", "set_role", as_json=as_json)


def _change(
    change: Callable[[UserService, ChangeNote], Awaitable[User]],
    message: Callable[[User], str],
    action: str,
    *,
    as_json: bool,
) -> NoReturn:
    async def work(access: Access) -> CommandResult:
        note = ChangeNote()
        user = await change(access.users, note)
        await record(access.audit, action, user.name, note=note)
        return CommandResult(PrintedUser.of(user), lambda: print_line(message(user)))

    execute_with_access(work, as_json=as_json)
