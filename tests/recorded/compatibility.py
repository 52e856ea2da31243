"""
The table of docs/compatibility.md, made of what the tests found: `python -m tests.recorded.compatibility`.

The numbers stand in compatibility.json, which runs with BACKSTAY_TEST_RESULTS write.
"""

import json
from collections import Counter
from pathlib import Path

from tests.fixtures.chosen_server import CHOICES
from tests.fixtures.pages import DOCS


RESULTS = Path(__file__).with_name("compatibility.json")
PAGE = DOCS / "compatibility.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
NAMES = {"mariadb": "MariaDB", "mysql": "MySQL"}
# By the beginning of the names of modules; the first that fits has it.
FEATURES = {
    "Values of every type": ("integration/test_types", "integration/test_texts", "integration/test_sizes"),
    "Views, triggers, routines, events": (
        "integration/test_objects", "integration/test_unusable", "integration/test_definitions",
        "integration/test_names", "integration/test_stored_columns",
    ),
    "Users, roles, grants": ("integration/test_accounts", "integration/test_routine_grants"),
    "Applications and random schemas": (
        "integration/test_applications", "integration/test_random", "integration/test_vendors",
        "integration/test_odd_settings", "integration/test_uncarried", "integration/test_tables_elsewhere",
    ),
    "Chunks of tables of any key": ("integration/test_chunks", "integration/test_mutations"),
    "One consistent moment": ("integration/test_consistency", "integration/test_connection_lost"),
    "Rights of the documented users": ("integration/test_production_rights", "e2e/test_cli_rights"),
    "Restore in place, undo": (
        "integration/test_restore", "integration/test_swap", "integration/test_proven",
    ),
    "Dry runs and drills": ("integration/test_dry_runs", "integration/test_drills"),
    "Restore by the vendor's client": ("integration/test_portability",),
    "Connections, TLS, logins": (
        "integration/test_connection", "integration/test_tls", "integration/test_hostile",
        "integration/test_signins",
    ),
    "Control database on this server": ("contract/", "integration/test_migrations"),
    "Crashes, full disks, damaged files": ("faults/",),
    "Command line": ("e2e/test_cli", "e2e/test_cron"),
    "Service and API": ("e2e/",),
    "Runs, checks, alerts": ("integration/",),
}  # fmt: skip


def feature_of(module: str) -> str:
    """Return what a module of tests is about."""
    return next(name for name, begins in FEATURES.items() if module.startswith(begins))


def rendered(results: dict[str, dict[str, object]]) -> str:
    """Write the table, and below it why tests differ."""
    servers = [name for name in CHOICES if name in results]
    titles = [f"{NAMES[name.split('-')[0]]} {results[name]['version']}" for name in servers]
    lines = [f"| feature | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    cells = {name: _cells(results[name]["modules"]) for name in servers}
    for feature in FEATURES:
        row = [cells[name].get(feature, "not run") for name in servers]
        lines.append(f"| {feature} | {' | '.join(row)} |")
    for name, title in zip(servers, titles, strict=True):
        reasons = _reasons(results[name]["modules"])
        if reasons:
            lines += ["", f"Differs on {title}, by the reason and the number of tests:", ""]
            lines += [f"- {reason}: {count}" for reason, count in sorted(reasons.items())]
    return "\n".join(lines) + "\n"


def _cells(modules: object) -> dict[str, str]:
    passed, failed, differ = Counter[str](), Counter[str](), Counter[str]()
    assert isinstance(modules, dict)
    for module, found in modules.items():
        feature = feature_of(module)
        passed[feature] += found["passed"]
        failed[feature] += found["failed"]
        differ[feature] += sum(found["differs"].values())
    return {
        feature: f"{passed[feature]} pass"
        + (f", **{failed[feature]} fail**" if failed[feature] else "")
        + (f", {differ[feature]} differ" if differ[feature] else "")
        for feature in {**passed, **failed, **differ}
    }


def _reasons(modules: object) -> Counter[str]:
    assert isinstance(modules, dict)
    found = Counter[str]()
    for result in modules.values():
        found.update(result["differs"])
    return found


def page_with(table: str) -> str:
    """Return the page with another table."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return f"{before}{BEGIN}{table}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page_with(rendered(json.loads(RESULTS.read_text()))))
