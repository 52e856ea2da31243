"""Values and rules of stored backups: manifest, notes, retention; imports nothing but other values."""
