"""Commands on the users of the service; none needs a database server or a login."""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from app.cli.edge import perform
from app.cli.options import AsJson
from app.cli.output import CommandResult, say, table
from app.cli.runs import record
from app.errors import InvalidRequestError


if TYPE_CHECKING:
    from app.domain.access.user import User
    from app.services.access.users import UserService

RoleName = Literal["viewer", "operator", "admin"]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password as one line from stdin.")
]
# No password is longer in bytes; whatever follows is not read.
_MAX_LINE_BYTES = 8 << 10

app = typer.Typer(name="user", help="Make and change users of the service.", no_args_is_help=True)


@app.command()
def create(
    name: NameArgument,
    role: Annotated[
        RoleName | None,
        typer.Option(
            "--role",
            help="What they may do. Default: admin for the first user, viewer after that.",
            show_default=False,
        ),
    ] = None,
    password_stdin: PasswordStdin = False,
    as_json: AsJson = False,
) -> None:
    """Add a user; asks for the password."""
    password = _read_password(from_stdin=password_stdin)

    async def work(users: "UserService") -> "User":
        from app.domain.access.user import Role

        default = Role.VIEWER if await users.count() else Role.ADMIN
        return await users.create(name, password, Role(role) if role else default)

    _change(
        work,
        lambda user: f"User {user.name} created as {user.role}.",
        "create_user",
        as_json=as_json,
    )


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the users by name."""

    async def work() -> CommandResult:
        from app.bootstrap.access import open_access
        from app.config import load_settings
        from app.documents.access import PrintedUserList

        async with open_access(load_settings()) as parts:
            users = await parts.users.list()

        def show() -> None:
            if not users:
                say("No users.")
                return
            rows = [
                (
                    user.name,
                    user.role.value,
                    f"{user.created_at:%Y-%m-%d %H:%M:%S}",
                    f"{user.disabled_at:%Y-%m-%d %H:%M:%S}" if user.disabled_at else "-",
                )
                for user in users
            ]
            table(("Name", "Role", "Created (UTC)", "Disabled (UTC)"), rows)

        return CommandResult(PrintedUserList.of(users), show)

    perform(work, as_json=as_json)


@app.command()
def disable(name: NameArgument, as_json: AsJson = False) -> None:
    """Let a user log in no more, and end their logins."""
    _change(
        lambda users: users.change(name, disabled=True),
        lambda user: f"User {user.name} disabled.",
        "disable_user",
        as_json=as_json,
    )


@app.command()
def enable(name: NameArgument, as_json: AsJson = False) -> None:
    """Let a disabled user log in again."""
    _change(
        lambda users: users.change(name, disabled=False),
        lambda user: f"User {user.name} enabled.",
        "enable_user",
        as_json=as_json,
    )


@app.command()
def password(
    name: NameArgument, password_stdin: PasswordStdin = False, as_json: AsJson = False
) -> None:
    """Give a user another password, and end their logins; asks for the password."""
    new = _read_password(from_stdin=password_stdin)
    _change(
        lambda users: users.change(name, password=new),
        lambda user: f"User {user.name} has a new password.",
        "set_password",
        as_json=as_json,
    )


@app.command()
def role(
    name: NameArgument,
    role: Annotated[RoleName, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")],
    as_json: AsJson = False,
) -> None:
    """Change what a user may do, at once."""

    async def work(users: "UserService") -> "User":
        from app.domain.access.user import Role

        return await users.change(name, role=Role(role))

    _change(work, lambda user: f"User {user.name} is now {user.role}.", "set_role", as_json=as_json)


def _change(
    change: "Callable[[UserService], Awaitable[User]]",
    told: "Callable[[User], str]",
    action: str,
    *,
    as_json: bool,
) -> NoReturn:
    async def work() -> CommandResult:
        from app.bootstrap.access import open_access
        from app.config import load_settings
        from app.documents.access import PrintedUser

        async with open_access(load_settings()) as parts:
            user = await change(parts.users)
            await record(parts.audit, action, user.name)
        return CommandResult(PrintedUser.of(user), lambda: say(told(user)))

    perform(work, as_json=as_json)


def _read_password(*, from_stdin: bool) -> str:
    """Ask twice on a terminal, on stderr; read one line where nobody can be asked."""
    if sys.stdin.isatty() and not from_stdin:
        try:
            answer: str = typer.prompt(
                "Password", hide_input=True, confirmation_prompt="Once more", err=True
            )
        except typer.Abort:
            raise KeyboardInterrupt from None
        return answer
    line = sys.stdin.buffer.readline(_MAX_LINE_BYTES)
    try:
        return line.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as exc:
        raise InvalidRequestError("the password on stdin is not UTF-8") from exc
