"""
One backup file and its manifest: written, indexed, read, verified; knows no other file.

Import `ArchiveWriter` and `ArchiveReader`; the rest is for `catalogue`.
"""
