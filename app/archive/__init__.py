"""
The file format: `file` is one backup, `catalogue` the directory of them.

Import `Catalogue`, `ArchiveWriter` and `ArchiveReader`.
"""
