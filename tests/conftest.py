"""What every test gets: the fixtures, and an environment without our settings in it."""

import gc
import os
import signal

import hypothesis
import pytest

from tests.fixtures.series import IS_LONG, series


pytest_plugins = [
    "tests.fixtures.chosen_server",
    "tests.fixtures.results",
    "tests.fixtures.shared_processes",
    "tests.fixtures.servers",
    "tests.fixtures.backstay",
    "tests.fixtures.cli",
    "tests.fixtures.restored_shop",
    "tests.fixtures.control",  # before those that fill its databases
    "tests.fixtures.api",
    "tests.fixtures.raw_requests",
    "tests.fixtures.endpoints",
    "tests.fixtures.alerting",
    "tests.fixtures.browser",
    "tests.fixtures.waiting_run",
    "tests.fixtures.stores",
]

# How long an example takes says how busy the machine is, not whether the program is right.
hypothesis.settings.register_profile(
    "unhurried",
    deadline=None,
    max_examples=series(12, 250),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("unhurried")


# Nothing that collecting makes is garbage, and the collector would look through it again and again.
gc.disable()
# Under `nohup` a run ignores hang-ups, in the background of a script Ctrl-C, and so would every command that it starts.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
# For one test in its long form: what takes an hour hangs.
_LONG_SECONDS = 3600


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Begin with what waits: one worker does it beside the others' work, and none is left with it at the end.

    Whatever draws examples has a longer form: it draws more of them. What has a long form only is left to it.
    A long form has more time than any other test.
    """
    left = [] if IS_LONG else [item for item in items if _is_long_only(item)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
    for item in items:
        if hypothesis.is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker("long")
        if IS_LONG and item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_LONG_SECONDS))
    items.sort(key=lambda item: item.get_closest_marker("waits") is None)


def _is_long_only(item: pytest.Item) -> bool:
    return any(mark.kwargs.get("only") for mark in item.iter_markers("long"))


def pytest_collection_finish() -> None:
    """Let the collector pass over thousands of tests and modules, which stay to the end, and look seldom."""
    gc.collect()
    gc.freeze()
    # A tenth of a unit test's time is looking for garbage, where hardly any is.
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings of whoever runs the tests."""
    for name in list(os.environ):  # noqa: TID251 - hides the variables from the settings
        if name.startswith("BACKSTAY_"):
            monkeypatch.delenv(name)
