"""One act, in order: plan, preflight, load, proof, swap, undo, drill and dry run; imports `backups`."""
