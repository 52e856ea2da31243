"""How many bytes something has."""

import pytest

from app.domain.places.sizes import size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (123_456_789, "123.5 MB"),
        (5 * 10**18, "5000.0 PB"),
    ],
)
def test_sizes_have_one_decimal(count, text):
    """Powers of 1000; never 1000.0 of a smaller unit."""
    assert size(count) == text
