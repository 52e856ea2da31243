"""Publish what was measured: one table on standard output, one JSON file, progress beside them."""

import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from . import scores
from .scores import Contest


class Report:
    """
    Prints each contest when it is over and keeps the JSON file up to date.

    Leaving the context prints the notes, also after an error: hours of measurements are not lost.

    Attributes:
        has_failures: Whether any program failed.
    """

    def __init__(self, path: Path, rounds: int, machine: dict[str, object]) -> None:
        """
        Begin with nothing measured.

        Args:
            path: JSON file to write; replaced.
            rounds: How often each program runs.
            machine: From `machine.facts`.
        """
        self.has_failures = False
        self._path = path
        self._data: dict[str, dict[str, object]] = {}
        self._document: dict[str, object] = {
            "machine": machine,
            "rounds": rounds,
            "data": self._data,
        }
        self._notes: list[str] = []
        self._has_header = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for note in self._notes:
            _print(f"\n{note}")

    def describe(self, data: str, facts: dict[str, object]) -> None:
        """Write down what it is measured on."""
        self._data.setdefault(data, {}).update(facts)
        self._write()

    def add(self, contest: Contest) -> None:
        """Publish the scores of one contest."""
        if not self._has_header:
            _print(scores.header())
            self._has_header = True
        for line in scores.lines(contest):
            _print(line)
        self.has_failures |= any(score.failure for score in contest.scores)
        self._data.setdefault(contest.data, {})[contest.part] = scores.as_json(contest)
        self._write()

    def note(self, name: str, text: str, figures: object) -> None:
        """Publish what does not fit into the table: the file has it now, the screen at the end."""
        self._notes.append(f"{name}\n{text}")
        self._document[name] = figures
        self._write()

    def _write(self) -> None:
        self._path.write_text(json.dumps(self._document, indent=2, ensure_ascii=False) + "\n")


def progress(text: str) -> None:
    """Tell who waits what is going on."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
