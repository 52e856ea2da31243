"""Values of users, sessions and the audit; imports nothing but other values."""
