"""All that is recorded, each document made once and only when it is asked for."""

import json
from contextlib import ExitStack
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from tests.fixtures.servers import OwnServers
from tests.fixtures.shared_processes import locked
from tests.recorded import interface
from tests.recorded.bycommand import by_command
from tests.recorded.byrequest import by_request
from tests.recorded.rounds import Round
from tests.recorded.shapes import text


DOCUMENTS: Final = (
    "api",
    "commands",
    "errors",
    "settings",
    "answers_to_commands",
    "answers_of_the_api",
)
# Both come from one round of requests.
_OF_THE_SERVICE: Final = ("api", "answers_of_the_api")
_DIRECTORY: Final = Path(__file__).parent


def recorded(document: str) -> dict[str, Any]:
    """Read a recording: its parts by name."""
    found: dict[str, Any] = json.loads(_file(document).read_text())
    return found


def record(document: str, parts: dict[str, Any]) -> None:
    """Write a recording."""
    _file(document).write_text(f"{text(parts)}\n")


def _file(document: str) -> Path:
    return _DIRECTORY / f"{document}.json"


class Recording:
    """What the program promises now; a server is started when answers are asked for."""

    def __init__(self, home: Path, template: Path | None = None) -> None:
        """
        Make nothing yet.

        Args:
            home: An empty directory.
            template: Of a server that never ran; None = it is made.
        """
        self._home = home
        self._template = template
        self._open = ExitStack()

    def __getitem__(self, document: str) -> Round:
        """Make a document, or return the one that was made."""
        match document:
            case "answers_to_commands":
                return self._by_command
            case "answers_of_the_api":
                return self._by_request[0]
            case "api":
                made, found = self._by_request
                return Round(interface.operations(found) if found else {}, made.broken)
            case _:
                return Round(getattr(interface, document)())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @cached_property
    def _url(self) -> str:
        servers = OwnServers(self._home / "servers", self._template)
        self._open.callback(servers.close)
        return servers().url

    @cached_property
    def _by_command(self) -> Round:
        return by_command(self._url, self._directory("commands"))

    @cached_property
    def _by_request(self) -> tuple[Round, Any]:
        return by_request(self._url, self._directory("service"))

    def _directory(self, name: str) -> Path:
        made = self._home / name
        made.mkdir()
        return made


class SharedRecording:
    """What the test processes of one run make once for all of them; who asks first makes it."""

    def __init__(self, recording: Recording, directory: Path) -> None:
        """
        Make nothing yet.

        Args:
            recording: Of this process.
            directory: One that all processes know.
        """
        self._recording = recording
        self._directory = directory
        directory.mkdir(exist_ok=True)

    def __getitem__(self, document: str) -> Round:
        """Make a document, or read the one that was made."""
        made = self._directory / f"{document}.json"
        together = _OF_THE_SERVICE if document in _OF_THE_SERVICE else (document,)
        with locked(self._directory / f"{together[0]}.lock"):
            if not made.exists():
                for name in together:
                    file = self._directory / f"{name}.json"
                    file.write_text(json.dumps(asdict(self._recording[name])))
        return Round(**json.loads(made.read_text()))
