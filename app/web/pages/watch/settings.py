"""Settings: what this installation goes by, and where each value is from; changed outside of the service only."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.access import CurrentService
from app.setting_facts import SettingSource, describe_settings
from app.web.rendering import render


router = APIRouter()


@router.get("/settings", name="web:get_settings")
async def show_settings(request: Request, service: CurrentService) -> Response:
    """Show each setting with its value, its default and its source; of secrets only whether they are set."""
    found = describe_settings(service.program.settings)
    given = [setting for setting in found if setting.source is not SettingSource.DEFAULT]
    return render(
        request,
        "settings.html",
        given=given,
        usual=[setting for setting in found if setting.source is SettingSource.DEFAULT],
    )
