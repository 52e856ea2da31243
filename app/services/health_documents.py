"""The JSON documents about the health of backups; see `documents`."""

from collections.abc import Mapping, Sequence

from app.domain.backups.check_notes import Check
from app.domain.checks import CheckResult
from app.domain.document import Document


def checks(found: Mapping[str, Check]) -> Sequence[Document]:
    """Tell of the last look at a backup on each level."""
    return [
        {
            "level": level,
            "at": f"{one.at:%Y-%m-%d %H:%M:%S}",
            "success": one.success,
            "duration": one.seconds,
            "error": one.error or None,
        }
        for level, one in found.items()
    ]


def check_results(found: Sequence[CheckResult]) -> Document:
    """Tell of a pass; it is a success when nothing was wrong."""
    return {
        "success": not any(one.failure for one in found),
        "checks": [
            {
                "backup_id": one.backup_id,
                "what": one.what,
                "success": one.failure is None,
                "error": one.failure.code if one.failure else None,
            }
            for one in found
        ],
    }
