"""What people call a server."""

import pytest

from app.domain.server.product import product_of


@pytest.mark.parametrize(
    ("vendor", "version", "name"),
    [
        ("mariadb", "10.11.14-MariaDB-0+deb12u1-log", "MariaDB 10.11.14"),
        ("mariadb", "5.5.5-10.6.21-MariaDB", "MariaDB 10.6.21"),
        ("mysql", "8.4.7", "MySQL 8.4.7"),
        ("mysql", "8.0.42-33", "MySQL 8.0.42"),
        ("mysql", "unknown", "MySQL"),
        ("other", "1.2", "other 1.2"),
    ],
)
def test_a_server_has_a_name_and_numbers(vendor, version, name):
    """Without what a distribution has added."""
    assert product_of(vendor, version) == name
