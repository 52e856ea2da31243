"""Backstay: backup and recovery of MySQL and MariaDB that is proven to restore."""
