"""The command that looks for what would make a backup fail."""

from typing import Final

from app.cli.edge import perform
from app.cli.exits import OK, exit_code
from app.cli.options import AsJson
from app.cli.output import Answer, Document, say


_MARKS: Final = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


def doctor(as_json: AsJson = False) -> None:
    """Check server, rights, directory and programs, and say what to do about each finding."""

    async def work() -> Answer:
        from app.bootstrap import program
        from app.config import load_settings

        async with program(load_settings(), needs_server=False) as parts:
            checks = await parts.doctor.examine()
        errors = [check.error for check in checks if check.error is not None]
        document: Document = {
            "success": not errors,
            "checks": [
                {
                    "name": check.name,
                    "state": check.state,
                    "detail": check.detail,
                    "remedy": check.remedy,
                }
                for check in checks
            ],
        }

        def show() -> None:
            width = max(len(check.name) for check in checks)
            for check in checks:
                say(f"{_MARKS[check.state]}  {check.name:<{width}}  {check.detail}")
                for line in check.remedy.splitlines():
                    say(f"{'':<{width + 8}}-> {line}")

        return Answer(document, show, exit_code(errors[0]) if errors else OK)

    perform(work, as_json=as_json)
