"""Judges of what was restored and kept; none shares code with the program."""
