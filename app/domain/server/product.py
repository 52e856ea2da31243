"""What people call a server."""

import re
from typing import Final


_NAMES: Final = {"mariadb": "MariaDB", "mysql": "MySQL"}


def product_of(vendor: str, version: str) -> str:
    """
    Return what people call a server: `MariaDB 10.11.14`.

    Args:
        vendor: `mariadb` or `mysql`.
        version: What VERSION() returned; what a distribution has added to the numbers is left out.

    Returns:
        One line; without numbers where the version has none.
    """
    # Old replicas print it before MariaDB's own.
    own = version.removeprefix("5.5.5-") if vendor == "mariadb" else version
    numbers = re.match(r"\d+(?:\.\d+)*", own)
    return " ".join([_NAMES.get(vendor, vendor), *([numbers[0]] if numbers else [])])
