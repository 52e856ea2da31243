"""The command line; it goes through the services, so it works when no API runs."""
