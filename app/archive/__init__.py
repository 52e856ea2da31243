"""The file format: members, index, verification, and the catalogue of what a directory holds."""
