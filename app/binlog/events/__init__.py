"""What stands in a binary log: pure functions and values over bytes."""
