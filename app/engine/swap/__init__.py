"""Tables that change places by one RENAME, planned and done; imports `load` and below."""
