"""SQL and server output as pure text: no connection, no I/O; imports only the flavor."""
