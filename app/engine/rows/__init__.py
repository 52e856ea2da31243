"""Rows of tables as chunks of SQL text, read, proven and compared; imports `schema` and below."""
