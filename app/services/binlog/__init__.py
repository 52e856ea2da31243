"""The archive of the binary log: run, watched, and searched."""
