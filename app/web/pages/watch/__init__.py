"""Pages that show how everything is doing."""
