"""What a server holds, read and written as definitions: databases, tables, objects, keys, accounts; imports `server` and below."""
