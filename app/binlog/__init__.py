"""The binary log of the server: its events, how it is read from the server, and its archive."""
