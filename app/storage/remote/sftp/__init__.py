"""
Directories of SSH servers, by asyncssh.

Needs the extra `stores`, which `app.storage.remote.opening` says.
"""
