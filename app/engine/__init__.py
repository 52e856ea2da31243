"""
Speaks MySQL and MariaDB, room over room: swap, dump and load, rows, schema, server, sql, flavor.

A room imports only from those after it in this list; services import from all of them.
"""
