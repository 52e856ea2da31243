"""Looks for what would make a backup or a restore fail, before one does; changes nothing."""
