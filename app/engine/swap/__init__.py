"""Tables that change places by one RENAME: import `plan` for what will change, `rename` to do it."""
