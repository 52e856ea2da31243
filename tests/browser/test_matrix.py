"""Every page of an installation that is fresh, and of one where all is broken, as different people see them."""

from itertools import product

import pytest

from tests.fixtures.barriers import FAINT, LARGE, MOVING, SMALL, barriers, is_scrolled_sideways
from tests.fixtures.people import with_users
from tests.fixtures.series import series


NOWHERE = "mysql://root@127.0.0.1:1/"
# In short one look and the pages with most on them.
LOOKS = series([("dark", 375)], list(product(("light", "dark"), (1280, 375))))
PAGES = series(
    ("/", "/schedules/edit", "/point-in-time"),
    (
        "/", "/backups", "/backups/new", "/runs", "/restores", "/restore", "/point-in-time",
        "/point-in-time/recover", "/schedules", "/schedules/edit", "/retention", "/alerts", "/server", "/stores",
        "/users", "/users/viewer", "/new-user", "/account", "/audit", "/audit/proof", "/settings", "/nothing",
    ),
)  # fmt: skip


def in_the_way(page):
    """Everything that keeps anybody out of a page, at its width and at 320 pixels, by names."""
    size = page.viewport_size
    found = {
        "axe": barriers(page),
        "small": page.evaluate(SMALL),
        "faint": page.evaluate(FAINT),
        "moving": page.evaluate(MOVING),
        "wide": is_scrolled_sideways(page),
    }
    page.set_viewport_size({"width": 320, "height": 900})
    found["wide at 320"] = is_scrolled_sideways(page)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate(LARGE)
    found["wide with large letters"] = is_scrolled_sideways(page)
    page.set_viewport_size(size)
    return {name: what for name, what in found.items() if what}


@pytest.mark.long
@pytest.mark.parametrize("state", ["fresh", "broken"])
@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_pages_of_nothing_and_of_errors_keep_nobody_out(
    visitors, own_api, server, state, scheme, width
):
    """Light and dark, wide and narrow, large letters, without movement, edges that are seen."""
    api = with_users(own_api(server.url if state == "fresh" else NOWHERE)).start()
    if state == "broken":
        api.backups.write_text("a file stands where the directory was")
    size = {"width": width, "height": 900}
    visitor = visitors(api, color_scheme=scheme, viewport=size, reduced_motion="reduce")
    page = visitor.enter()
    found = {}
    for path in PAGES:
        visitor.go(path)
        if wrong := in_the_way(page):
            found[path] = wrong
    if state == "broken":  # what answers so is what this is about
        told = visitor.complaints
        visitor.complaints = [text for text in told if not text.startswith("50")]

    assert found == {}
