"""
The service's own database: users, runs, alerts and audit; never what a restore needs.

Import `ControlDatabase` and the class of records that implements a port of `app.domain.stores`.
"""
