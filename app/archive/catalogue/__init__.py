"""The directory of backups: listed, rebuilt, swept, deleted; imports `file`."""
