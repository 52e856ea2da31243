"""What looks after stored backups, put together."""

from app.archive.catalogue import Catalogue
from app.bootstrap import Program, SystemClock
from app.config import Settings
from app.domain.alert import Alarm
from app.services.checks import CheckService
from app.services.findings import Findings
from app.services.health import HealthService


def findings_of(settings: Settings, catalogue: Catalogue, alarm: Alarm) -> Findings:
    """Make what tells people of the state of backups; it is to hear of every run."""
    return Findings(HealthService(catalogue), alarm, unusual_percent=settings.unusual_percent)


def checks_of(parts: Program, findings: Findings) -> CheckService:
    """Make what checks the backups that are due."""
    return CheckService(
        parts.settings, findings, parts.backups, parts.orders, parts.runs, SystemClock()
    )
