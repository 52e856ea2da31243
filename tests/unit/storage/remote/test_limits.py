"""How often a request is made again."""

import pytest

from app.errors import StorageDeniedError, StorageUnavailableError
from app.storage.remote.limits import Limits


LIMITS = Limits(attempts=3, pause_seconds=0.001)


def test_what_passes_is_done_in_the_end():
    """Each attempt is told which it is."""
    seen = []

    def work(attempt):
        seen.append(attempt)
        if attempt < 3:
            raise StorageUnavailableError("x")
        return "done"

    assert LIMITS.retried(work) == "done"
    assert seen == [1, 2, 3]


@pytest.mark.parametrize(
    ("error", "attempts"), [(StorageUnavailableError, 3), (StorageDeniedError, 1)]
)
def test_what_does_not_pass_ends(error, attempts):
    """After so many attempts; at once where trying again is of no use."""
    seen = []

    def work(attempt):
        seen.append(attempt)
        raise error("x")

    with pytest.raises(error):
        LIMITS.retried(work)
    assert len(seen) == attempts


def test_more_bytes_have_more_time():
    """At 256 KiB a second, the slowest line that is waited for."""
    assert Limits(answer_seconds=60).seconds_for(8 << 20) == 60 + 32
