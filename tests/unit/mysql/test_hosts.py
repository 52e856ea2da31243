"""Where a server can be."""

import pytest

from app.mysql.hosts import is_loopback


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.7", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.7", False),
    ],
)
def test_loopback_is_told_by_the_address(address, expected):
    """In both families, whatever name it was reached by."""
    assert is_loopback(address) is expected
