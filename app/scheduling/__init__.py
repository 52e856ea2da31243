"""What happens by itself, at its time: APScheduler behind one small class."""
