"""One backup file and its manifest: written, indexed, read, verified; knows no other file."""
