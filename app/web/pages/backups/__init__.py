"""Pages about backups: those there are, when more are made, where they are kept, and which go."""
