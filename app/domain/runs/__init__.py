"""Values of runs: state, progress, who asked; imports nothing but other values."""
