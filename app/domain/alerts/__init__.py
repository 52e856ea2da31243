"""Values of alerts and of the notices sent for them; imports nothing but other values."""
