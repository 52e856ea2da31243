"""Users, logins and the audit; imports nothing else of the services."""
