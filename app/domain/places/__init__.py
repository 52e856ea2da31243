"""Places of backups: what is known of each, and whether they are enough."""
