"""
Stores of backups behind one protocol: directories, object stores and SFTP.

Import `Store` and what it hands out from `store`, and `open_store` from `opening`.
"""
