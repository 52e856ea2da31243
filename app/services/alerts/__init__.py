"""Alerts raised, resolved and delivered; imports nothing else of the services."""
