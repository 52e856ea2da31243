"""The stored thing: made, verified, noted, pinned, kept and deleted; imports `access` for the audit."""
