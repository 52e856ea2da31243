"""
What a server holds, as definitions: databases, tables, objects, foreign keys, accounts.

Import the reading and writing functions from the module of the thing.
"""
