"""Pictures of numbers and times, drawn by the server as SVG."""
