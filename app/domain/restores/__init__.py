"""Values of restores: what is asked for, its plan, journal and results; imports `backups`."""
