"""The service's own database: people, runs and audit; never what a restore needs."""
