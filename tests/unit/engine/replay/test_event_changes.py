"""What statements of a log do to the status of events."""

import pytest

from app.engine.replay.event_changes import EventChange, EventStatus, EventStatuses, event_change


ON, OFF, ELSEWHERE = EventStatus.ENABLED, EventStatus.DISABLED, EventStatus.ELSEWHERE


@pytest.mark.parametrize(
    ("text", "change"),
    [
        (
            "CREATE DEFINER=`root`@`localhost` EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 'DISABLE'",
            EventChange("CREATE", ("a", "e")),
        ),
        (
            "create event if not exists b.`e``x` on schedule every 1 day disable comment 'ENABLE' do set @a = 1",
            EventChange("CREATE", ("b", "e`x"), OFF, keeps=True),
        ),
        (
            "/*!50106 CREATE*/ /*!50117 DEFINER=`r`@`%`*/ /*!50106 EVENT `e` ON SCHEDULE AT NOW() DO SELECT 1 */",
            EventChange("CREATE", ("a", "e")),
        ),
        (
            "CREATE OR REPLACE DEFINER=CURRENT_USER() EVENT e ON SCHEDULE EVERY 1 DAY ENABLE DO DO 1",
            EventChange("CREATE", ("a", "e"), ON),
        ),
        (
            "ALTER DEFINER='r'@'%' EVENT e RENAME TO b.f",
            EventChange("ALTER", ("a", "e"), None, ("b", "f")),
        ),
        ("ALTER EVENT e -- why\n DISABLE ON SLAVE", EventChange("ALTER", ("a", "e"), ELSEWHERE)),
        ("ALTER EVENT e DISABLE ON REPLICA", EventChange("ALTER", ("a", "e"), ELSEWHERE)),
        ("DROP EVENT IF EXISTS e", EventChange("DROP", ("a", "e"))),
        ("DROP DATABASE IF EXISTS `x y`", EventChange("DROP", ("x y", ""))),
        ("DROP SCHEMA x", EventChange("DROP", ("x", ""))),
        ("CREATE TABLE event (event INT)", None),
        ("CREATE DATABASE event", None),
        ("INSERT INTO event VALUES ('CREATE EVENT e')", None),
        ("DROP DATABASE", None),
        ("EVENT", None),
    ],
)
def test_a_statement_is_read_up_to_do(text, change):
    """Names, quotes and comments as the server takes them; a body says nothing of the event."""
    assert event_change("a", text) == change


def test_the_last_statement_decides():
    """Created, altered, renamed, dropped, with its database; names in any case."""
    statuses = EventStatuses({("a", "old"): OFF, ("b", "gone"): ON})
    for text in (
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DO 1",
        "CREATE EVENT IF NOT EXISTS old ON SCHEDULE EVERY 1 DAY DO DO 1",
        "ALTER EVENT E DISABLE",
        "ALTER EVENT e COMMENT 'x'",
        "ALTER EVENT e RENAME TO f",
        "CREATE EVENT dropped ON SCHEDULE EVERY 1 DAY DO DO 1",
        "DROP EVENT dropped",
        "DROP DATABASE b",
    ):
        statuses.accept("a", text)

    found = [statuses.find(("a", name)) for name in ("old", "e", "F", "dropped")]
    assert found == [OFF, None, OFF, None]
    assert statuses.find(("b", "gone")) is None
