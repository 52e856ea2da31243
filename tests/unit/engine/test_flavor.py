"""Flavors: which row of the table describes a server."""

import pytest

from app.engine.flavor import FLAVORS, flavor_of, version_number
from app.errors import IncompatibleServerError


@pytest.mark.parametrize(
    ("version", "vendor", "minimum"),
    [
        ("10.6.0-MariaDB", "mariadb", (10, 6, 0)),
        ("10.11.6-MariaDB-0+deb12u1-log", "mariadb", (10, 11, 0)),
        ("5.5.5-10.6.16-MariaDB", "mariadb", (10, 6, 0)),
        ("11.2.9-MariaDB", "mariadb", (10, 11, 0)),
        ("11.3.0-mariadb", "mariadb", (11, 3, 0)),
        ("11.4.9-MariaDB", "mariadb", (11, 3, 0)),
        ("12.3.1-MariaDB-ubu2404", "mariadb", (11, 5, 0)),
        ("8.0.11", "mysql", (8, 0, 0)),
        ("8.1.0-commercial", "mysql", (8, 0, 0)),
        ("8.4.3-0ubuntu1", "mysql", (8, 2, 0)),
        ("26.1.0", "mysql", (8, 2, 0)),
    ],
)
def test_a_server_has_the_newest_row_that_it_reaches(version, vendor, minimum):
    """The vendor is told by name, the row by number."""
    flavor = flavor_of(version)

    assert (flavor.vendor, flavor.minimum) == (vendor, minimum)


@pytest.mark.parametrize("version", ["5.7.44-log", "10.5.20-MariaDB", "5.5.5-10.4.1-MariaDB"])
def test_older_servers_are_refused(version):
    """What nobody described is not read by guess."""
    with pytest.raises(IncompatibleServerError, match="too old"):
        flavor_of(version)


def test_rows_stand_newest_first():
    """The search takes the first row that fits, so a newer one must come before."""
    for vendor in ("mariadb", "mysql"):
        minimums = [flavor.minimum for flavor in FLAVORS if flavor.vendor == vendor]
        assert minimums == sorted(minimums, reverse=True)


@pytest.mark.parametrize(
    ("text", "number"), [("8", (8, 0, 0)), ("8.4", (8, 4, 0)), ("10.11.6-MariaDB", (10, 11, 6))]
)
def test_missing_parts_of_a_version_are_zero(text, number):
    """Missing parts are zero, what follows the dash does not count."""
    assert version_number(text) == number
