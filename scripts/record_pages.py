"""
Take pictures of the pages for the README: docs/overview.png, docs/dry-run.png, docs/restore-live.png.

    make pictures

A private server with the sample shop is backed up, drilled and damaged, as somebody would find it; the
browser is Debian's chromium. Nothing in the pictures is made up.
"""

import asyncio
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from playwright.async_api import Page, async_playwright

from app.bootstrap.access import open_access
from app.bootstrap.opening import open_program
from app.bootstrap.program import Program
from app.cli.commands.demo import Report, make_shop, private_server
from app.config import Settings
from app.domain.access.user import Role


PROGRAM: Final = Path(sys.executable).with_name("backstay")
PICTURES: Final = Path(__file__).parents[1] / "docs"
MOST_BYTES: Final = 200_000
PASSWORD: Final = "a password for pictures"  # noqa: S105 - of a service that lives for seconds
_LISTENS: Final = re.compile(r"listens on (\S+);")
_BROWSER: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
]
# Lines that a shop would have after years, so that a restore takes some seconds.
_GROW: Final = (
    "INSERT INTO shop.order_items SELECT order_id, line + 10 * seq, product_id, quantity, unit_price"
    " FROM shop.order_items JOIN seq_1_to_60"
)
_DAMAGE: Final = (
    "DELETE FROM shop.orders WHERE id % 3 = 0",
    "UPDATE shop.products SET price = 0",
    "CREATE TABLE shop.scratch (id INT PRIMARY KEY)",
)


async def main() -> None:
    """Make the installation, look at it, and keep what was seen."""
    with tempfile.TemporaryDirectory(prefix="backstay-pictures-") as home:
        async with (
            private_server(Path(home), Report(silent=True)) as settings,
            open_program(settings) as program,
        ):
            await make_shop(program)
            await _run(program, "USE shop", _GROW)
            async with open_access(settings) as access:
                await access.users.create("admin", PASSWORD, Role.ADMIN)
            async with _served(settings) as url, _browser() as page:
                await _take(page, url, program)
    for name in ("overview", "dry-run", "restore-live"):
        size = (PICTURES / f"{name}.png").stat().st_size
        if size > MOST_BYTES:
            sys.exit(f"docs/{name}.png has {size} bytes, more than {MOST_BYTES}")


async def _take(page: Page, url: str, program: Program) -> None:
    await page.goto(f"{url}/login")
    await page.get_by_label("User name").fill("admin")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_role("button", name="Back up now").click()
    await page.get_by_text("succeeded").wait_for()
    await page.goto(url)
    await page.get_by_role("button", name="Drill the newest").click()
    await page.get_by_text("succeeded").wait_for()
    await page.goto(url)
    await page.screenshot(path=PICTURES / "overview.png")
    await _run(program, *_DAMAGE)
    await page.get_by_role("link", name="Restore shop").click()
    await page.get_by_role("button", name="Dry run", exact=True).click()
    await page.get_by_role("button", name="Continue").wait_for()
    await page.screenshot(path=PICTURES / "dry-run.png")
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_label(re.compile("^Type")).fill("shop")
    await page.get_by_role("button", name="Restore").click()
    await page.locator(".phases .active", has_text="Load the rows").wait_for()
    await page.get_by_text(" a second").wait_for()
    await page.screenshot(path=PICTURES / "restore-live.png")
    await page.get_by_text("read back and equal").wait_for(timeout=120_000)


async def _run(program: Program, *statements: str) -> None:
    async with program.server.session() as session:
        for statement in statements:
            await session.query(statement)


@asynccontextmanager
async def _served(settings: Settings) -> AsyncIterator[str]:
    """Run the service for the length of a block, and tell where."""
    variables = {
        "BACKSTAY_DATABASE_URL": settings.database_url.get_secret_value(),
        "BACKSTAY_BACKUP_DIR": str(settings.backup_dir),
        "BACKSTAY_STATE_DIR": str(settings.state_dir),
    }
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "serve", "--port", "0", env=variables, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None  # noqa: S101 - it was asked for
    try:
        while line := (await process.stderr.readline()).decode():
            if found := _LISTENS.search(line):
                yield found[1]
                break
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _browser() -> AsyncIterator[Page]:
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=_BROWSER)
        try:
            yield await browser.new_page(viewport={"width": 1280, "height": 800})
        finally:
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
