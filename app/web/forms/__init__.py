"""Forms that say more than a field or two: from what was sent to a request, and back."""
