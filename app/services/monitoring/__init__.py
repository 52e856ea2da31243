"""Looks and tells, never changes what it looks at; imports every other room of the services."""
