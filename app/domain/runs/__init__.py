"""Values of runs: state, progress, requester; imports nothing but other values."""
