"""Checks and reports, and raises alerts of what is wrong; never changes what it checks."""
