"""From an archive into databases that are empty, and the proof of it; imports `rows` and below."""
