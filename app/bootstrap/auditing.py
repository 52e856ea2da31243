"""The audit, put together."""

from app.config import Settings
from app.control.audit import AuditRecords
from app.control.database import ControlDatabase
from app.security.audit_keys import AuditKeys
from app.services.access.audit import AuditRules, AuditService
from app.storage.audit_heads import AuditHeads


def build_audit(settings: Settings, control: ControlDatabase) -> AuditService:
    """Make the audit."""
    return AuditService(
        AuditRecords(control),
        AuditHeads(settings.state_dir),
        AuditKeys(settings.audit_key.get_secret_value(), settings.state_dir),
        AuditRules(settings.audit_days, settings.audit_refused_rows),
    )
