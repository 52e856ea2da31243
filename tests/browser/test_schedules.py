"""The form of a schedule with scripts: what is typed is shown before it is saved, and without them as well."""

import re

from playwright.sync_api import expect


def test_times_and_rules_follow_what_is_typed(visitors, web_api):
    """Without a press of a button, in the zone of the schedule and in that of the browser; then it is saved."""
    visitor = visitors(web_api, timezone_id="Asia/Tokyo", locale="en-GB")
    page = visitor.enter()
    visitor.go("/schedules/edit")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("At 02:00 every day")

    page.get_by_label("Name", exact=True).fill("typed")
    page.get_by_label("Cron expression", exact=True).fill("30 2 * * 1-5")
    page.get_by_label("Time zone").fill("America/New_York")
    page.get_by_label("Time zone").blur()
    expect(page.get_by_label("At times of a cron expression")).to_be_checked()
    expect(preview).to_contain_text("At 02:30 on Monday through Friday")
    rows = preview.locator("table").first.locator("tbody tr")
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text(re.compile(r"02:30.*(15|16):30", re.DOTALL))

    page.get_by_label("Cron expression", exact=True).fill("61 * * * *")
    expect(preview).to_contain_text("not complete yet")
    page.get_by_label("Cron expression", exact=True).fill("0 5 * * *")
    expect(preview).to_contain_text("At 05:00 every day")
    page.get_by_role("button", name="Save").click()
    expect(page).to_have_url(re.compile("/schedules$"))
    expect(page.get_by_role("row", name=re.compile("typed"))).to_contain_text("At 05:00 every day")


def test_without_scripts_a_button_shows_the_same(visitors, web_api):
    """What was typed stays, and the address holds no token."""
    visitor = visitors(web_api, java_script_enabled=False)
    page = visitor.enter()
    visitor.go("/schedules/edit")
    page.get_by_label("Name", exact=True).fill("plain")
    page.get_by_label("At times of a cron expression").check()
    page.get_by_label("Cron expression", exact=True).fill("0 6 * * 0")
    page.get_by_role("button", name="Preview").click()

    expect(page.locator("#preview")).to_contain_text("At 06:00 on Sunday")
    expect(page.get_by_label("Name", exact=True)).to_have_value("plain")
    assert "csrf" not in page.url
    page.get_by_label("Name", exact=True).press("Enter")
    expect(page).to_have_url(re.compile("/schedules$"))
    expect(page.get_by_role("row", name=re.compile("plain"))).to_contain_text("At 06:00 on Sunday")
