"""
Connections to one server: address, session state, driver, errors, grants.

Import `Server` and `Session` from `connection`, and what `grants` tells about the user.
"""
