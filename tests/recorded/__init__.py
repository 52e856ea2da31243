"""What the program promises to whoever calls it, recorded, and what makes the recording."""
