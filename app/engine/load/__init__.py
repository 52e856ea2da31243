"""
From an archive into databases: the target examined, tables loaded, objects applied, all of it proven.

Import `Load` and the functions of `target`, `objects` and `inventory`; the rest serves `Load`.
"""
