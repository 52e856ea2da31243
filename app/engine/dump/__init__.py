"""From a consistent snapshot into a sink; imports `rows` and below."""
