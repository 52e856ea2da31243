"""Pages about who may log in, and what they did."""
