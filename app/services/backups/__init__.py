"""The stored thing: made, verified, checked, pinned, kept and deleted; imports `access` for the audit."""
