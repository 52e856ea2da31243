"""The directory of backups: listed, rebuilt, swept, deleted; import `Catalogue` from here."""
