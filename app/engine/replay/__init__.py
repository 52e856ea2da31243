"""Binary logs, given to a private server as relay logs, and applied by it."""
