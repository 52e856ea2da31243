"""Stores elsewhere: which there are, and whether backups can be kept there."""
