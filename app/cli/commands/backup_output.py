"""What backups are called, and what is in them, in words."""

from app.cli.output import plural
from app.domain.backups.manifest import Manifest


def kind_of(manifest: Manifest) -> str:
    """Say what kind of backup it is."""
    return "Recovery point" if manifest.options.recovery_point else "Backup"


def contents_of(manifest: Manifest) -> str:
    """Count what is in a backup."""
    counts = (
        plural(len(manifest.databases), "database"),
        plural(manifest.tables_count, "table"),
        plural(manifest.rows_count, "row"),
    )
    return ", ".join(counts)
