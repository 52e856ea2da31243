"""The recovery sheet: what somebody needs on paper to read backups without this installation."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from app.domain.keys import Signer


COLUMNS: Final = 80
_RULE: Final = "=" * COLUMNS
_BLANK: Final = "_" * 52
_HELD: Final = """\
The identity of each recipient is a line that begins with AGE-SECRET-KEY-1. It
is the only thing that opens the backups, and it is not on this sheet."""
_WARNING: Final = """\
SECRET: whoever reads these lines can read every backup that is encrypted for
their recipients. Keep this sheet as you would keep the data itself."""
_STEPS: Final = """\
To read a backup without Backstay:

1. Install age (Debian: apt-get install age), and the client of the server.
2. Write the identity into a file, here called key, and nothing else.
3. Where the name of the backup ends with .sql.gz.age:

     age -d -i key FILE | zcat | mariadb

   .sql.zst.age: zstd -dc instead of zcat. .sql.age: nothing between the two.
   MySQL: mysql instead of mariadb. With a passphrase, age asks for it.

To restore with Backstay, on any machine: set BACKSTAY_IDENTITY_FILE to that
file and BACKSTAY_SIGNERS to the public key of the signer, then
'backstay key check'."""


def recovery_sheet(
    recipients: Sequence[str], signer: Signer, secrets: Sequence[str], printed: datetime
) -> str:
    """
    Write the sheet.

    Args:
        recipients: For whom backups are encrypted.
        signer: This installation.
        secrets: The identities, where they were asked for; empty = they are kept elsewhere.
        printed: When.

    Returns:
        Lines of at most 80 columns of ASCII, without a line break at the end.
    """
    parts = [
        f"{_RULE}\nBACKSTAY RECOVERY SHEET{f'printed {printed:%Y-%m-%d}':>{COLUMNS - 23}}\n{_RULE}",
        _listed("Backups are encrypted for these recipients (public):", recipients),
        f"Manifests are signed by (public):\n\n  {signer.key}\n  id {signer.signer_id}",
        _listed(_WARNING, secrets) if secrets else _HELD,
        *(_places(recipient) for recipient in recipients if not secrets),
        _STEPS,
        _RULE,
    ]
    return "\n\n".join(parts)


def _listed(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, "", *(f"  {line}" for line in lines)])


def _places(recipient: str) -> str:
    """Leave room for where the identity of a recipient is kept."""
    questions = ("kept where", "who can get it", "passphrase kept where", "looked at, on")
    lines = [f"  {question:<22} {_BLANK}" for question in questions]
    return f"Identity of {recipient}:\n\n" + "\n\n".join(lines)
