"""How many bytes something has, as people say it."""

from typing import Final


_UNITS: Final = ("kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000


def size(count: float) -> str:
    """Return bytes for people, in powers of 1000 as disks are sold: `1.2 GB`."""
    if count < _STEP:
        return f"{count:.0f} B"
    amount = float(count)
    for unit in _UNITS:
        amount /= _STEP
        if amount < _STEP - 0.05 or unit == _UNITS[-1]:
            return f"{amount:.1f} {unit}"
    raise AssertionError(amount)
