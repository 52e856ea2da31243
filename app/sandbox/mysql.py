"""A private MySQL server, made and started as the private MariaDB is."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from app.errors import SandboxError
from app.sandbox.server import FROM_THE_FIRST, PrivateServer, as_root


# Of the default of 100M a copy of the directory would cost more.
_REDO_LOG = "--innodb-redo-log-capacity=32M"


class PrivateMysql(PrivateServer):
    """One MySQL server in a directory."""

    program: ClassVar = "mysqld"
    remedy: ClassVar = "Install the MySQL server, of the series of the server that is backed up."

    @classmethod
    def create(
        cls, directory: Path, *, options: Sequence[str] = (), template: Path | None = None
    ) -> Self:
        """Make the data directory of a server; not from a template that is of another kind."""
        is_other = any(option.startswith(FROM_THE_FIRST) for option in options)
        return super().create(directory, options=options, template=None if is_other else template)

    def _install(self) -> None:
        done = subprocess.run(
            [
                self._find(self.program),
                "--no-defaults",
                "--initialize-insecure",
                *self._own_options(),
                _REDO_LOG,
                *self._lasting(),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise SandboxError(
                f"mysqld --initialize failed:\n{done.stderr.decode(errors='replace')}"
            )
        # It holds the server's id: two that are copied from one template would have the same.
        (self.data / "auto.cnf").unlink(missing_ok=True)

    def _command(self) -> list[str]:
        return [
            self._find(self.program),
            "--no-defaults",
            *self._own_options(),
            f"--socket={self.socket}",
            *self._ports(),
            "--mysqlx=OFF",
            "--secure-file-priv=",  # it does not start without, where its default directory is missing
            f"--pid-file={self.directory / 'mysqld.pid'}",
            f"--log-error={self.log}",
            "--log-bin=binlog",
            "--server-id=1",
            "--innodb-buffer-pool-size=256M",
            _REDO_LOG,
            "--performance-schema=0",
            "--local-infile=1",
            "--event-scheduler=OFF",  # as MariaDB's default is
            *self.options,
        ]

    def _own_options(self) -> list[str]:
        return [*as_root(), f"--datadir={self.data}", f"--tmpdir={self.directory / 'tmp'}"]
