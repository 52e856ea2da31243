"""The stores of a control database, one each."""

import pytest

from app.control.audit import AuditRecords
from app.control.runs import RunRecords
from app.domain.stores import AuditStore, RunStore


@pytest.fixture
def runs(control) -> RunStore:
    """An empty store of runs."""
    return RunRecords(control)


@pytest.fixture
def audit(control) -> AuditStore:
    """An empty audit."""
    return AuditRecords(control)
