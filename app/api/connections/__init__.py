"""Connections to the service: who is let in, and how long they may keep it waiting."""
