"""How long a store is waited for, and how often a request is made again."""

from collections.abc import Callable
from dataclasses import dataclass
from time import sleep
from typing import Final, TypeVar

from app.errors import StorageUnavailableError


T = TypeVar("T")
# What a line must be able to carry, at the least, before a request is taken for dead.
_SLOWEST_BYTES_PER_SECOND: Final = 256 << 10
_LONGEST_PAUSE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """
    How long a store is waited for.

    Attributes:
        attempts: At one request, at least 1.
        connect_seconds: For a connection.
        answer_seconds: For an answer, besides what its bytes take.
        pause_seconds: Before the second attempt; twice as long before each after it.
    """

    attempts: int = 5
    connect_seconds: float = 10.0
    answer_seconds: float = 60.0
    pause_seconds: float = 0.5

    def seconds_for(self, size: int) -> float:
        """Return how long a request may take that carries so many bytes."""
        return self.answer_seconds + size / _SLOWEST_BYTES_PER_SECOND

    def retried(self, work: Callable[[int], T]) -> T:
        """
        Do something again while the store does not answer.

        Args:
            work: Is told which attempt it is, from 1.

        Returns:
            What it returned.

        Raises:
            StorageUnavailableError: The last attempt failed as well.
        """
        pause = self.pause_seconds
        for attempt in range(1, self.attempts):
            try:
                return work(attempt)
            except StorageUnavailableError:
                sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        return work(self.attempts)


USUAL: Final = Limits()
