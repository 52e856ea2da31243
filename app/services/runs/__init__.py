"""Executes any job as a run: begun, watched, cancelled and recorded; imports nothing else of the services."""
