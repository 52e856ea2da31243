"""The server that is backed up, as far as people choose from what it holds."""
