"""Speaks MySQL and MariaDB: connections, snapshots, dumping, loading, proving."""
