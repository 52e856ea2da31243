"""How much of the archived binary log is kept, in the backup directory and in stores."""
