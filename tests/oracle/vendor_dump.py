"""
The outside judge: mariadb-dump of two databases, compared byte by byte.

What depends on the database name and nothing else is made neutral first: the name itself as a qualifier.
Not guaranteed: the low bits of a FLOAT, which mariadb-dump prints with six digits; `tests.oracle.snapshots` sees those.
"""

import difflib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from tests.fixtures.chosen_server import DUMP


_OPTIONS = (
    "--order-by-primary",
    "--skip-comments",
    "--skip-dump-date",
    "--hex-blob",
    "--routines",
    "--triggers",
    "--events",
    "--force",  # an invalid view is reported and passed over; both sides must then say the same
)
_CLIENT = shutil.which(DUMP) or DUMP
# Lines of context in the message of a failure.
_SHOWN = 12
_WIDTH = 220
# Seconds; a dump of a test database takes less than one, and some bodies make the program spin for ever.
_TIMEOUT_SECONDS = 60


class Addressed(Protocol):
    """A server of the fixtures."""

    @property
    def url(self) -> str:
        """mysql://user:password@host:port/."""
        ...


def outside_judge(server: Addressed | str | Path, db_a: str, db_b: str) -> None:
    """
    Fail unless it prints both databases alike.

    Args:
        server: A server of the fixtures, its mysql:// address, or the path of a Unix socket (root, no password).
        db_a: One database.
        db_b: The other; mentions of `db_a` in its bodies count as its own name.

    Raises:
        AssertionError: The dumps differ, or the program failed; the message shows the first lines.
    """
    first, second = _dump(server, db_a, (db_a,)), _dump(server, db_b, (db_b, db_a))
    if first == second:
        return
    lines = difflib.unified_diff(
        first.decode("utf-8", "backslashreplace").split("\n"),
        second.decode("utf-8", "backslashreplace").split("\n"),
        db_a,
        db_b,
        n=0,
        lineterm="",
    )
    shown = "\n".join(line[:_WIDTH] for line, _ in zip(lines, range(_SHOWN), strict=False))
    message = f"{DUMP} sees a difference:\n{shown}"
    raise AssertionError(message)


def _dump(server: Addressed | str | Path, database: str, names: tuple[str, ...]) -> bytes:
    where, password = _where(server)
    done = subprocess.run(  # a fixed program, arguments from the test
        [_CLIENT, "--no-defaults", *where, *_OPTIONS, "--", database],
        capture_output=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
        # Not in argv, where other users of the machine could read it.
        env={"MYSQL_PWD": password, "TZ": "UTC"},
    )
    errors = _neutral(done.stderr, names)
    if done.returncode and b"ouldn't execute" not in errors and b"references invalid" not in errors:
        raise AssertionError(errors.decode("utf-8", "backslashreplace"))
    return _neutral(done.stdout, names) + errors


def _where(server: Addressed | str | Path) -> tuple[list[str], str]:
    if isinstance(server, Path):
        return [f"--socket={server}", "--user=root"], ""
    address = urlsplit(server if isinstance(server, str) else server.url)
    options = [
        "--protocol=tcp",
        f"--host={address.hostname}",
        f"--port={address.port or 3306}",
        f"--user={unquote(address.username or 'root')}",
    ]
    return options, unquote(address.password or "")


def _neutral(text: bytes, names: tuple[str, ...]) -> bytes:
    for name in names:
        plain = re.escape(name.encode())
        quoted = re.escape(b"`" + name.replace("`", "``").encode() + b"`")
        text = re.sub(
            rb"(?:" + quoted + rb"|(?<![\w$`])" + plain + rb"(?![\w$`]))(?=\s*\.)", b"<db>", text
        )
        # mariadb-dump sets the collation of the database around each routine and back again.
        text = re.sub(rb"(?i)(ALTER DATABASE )" + quoted, rb"\1<db>", text)
    # Of a column MySQL says it twice or not, by how the table was made; rows are in quotes, or in hex.
    return re.sub(rb"(?m)^(  `.*) CHARACTER SET (\w+)(?= COLLATE \2_)", rb"\1", text)
