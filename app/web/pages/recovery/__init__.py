"""Pages that bring something back."""
