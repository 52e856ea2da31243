"""What happens by itself, at its time: the clocks of this machine, and APScheduler behind one small class."""
