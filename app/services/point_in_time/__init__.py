"""Recoveries: a backup and the binary log since then become a backup of any point between."""
