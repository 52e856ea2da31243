"""
The way to a MySQL or MariaDB server, up to a connection that is logged in.

What is backed up and the control database are reached by the same code: nothing here knows which.
"""
