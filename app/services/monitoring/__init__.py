"""Checks and reports, never changes what it checks; imports every other room of the services."""
