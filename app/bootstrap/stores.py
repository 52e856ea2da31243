"""The stores, put together."""

from app.config import Settings, find_variable
from app.scheduling.clock import SystemClock
from app.services.stores.service import StoreService


def build_stores(settings: Settings) -> StoreService:
    """Make what knows the stores; nothing is read or opened yet."""
    return StoreService(
        settings.state_dir, settings.stores.get_secret_value(), find_variable, SystemClock()
    )
