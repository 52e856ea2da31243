"""Connections to one server: address, session state, packets, errors and grants; imports `sql`."""
