"""SQL and what the server prints, as pure text: no connection, no I/O; import any module."""
