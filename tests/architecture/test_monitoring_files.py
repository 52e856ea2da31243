"""The dashboard and the rules that come with the documents, as far as no service has to be asked."""

import json

from app.domain.restores.log_archive import ArchiverState
from app.domain.runs.run import RunKind, RunState
from tests.fixtures.pages import DOCS, rows
from tests.fixtures.promql import matched, rules


def test_no_panel_covers_another():
    """Each has its place on the grid of 24 columns."""
    board = json.loads((DOCS / "monitoring" / "grafana-dashboard.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_the_rules_ask_for_values_that_there_are():
    """A kind or a state that nothing has would be waited for without end."""
    known = {
        "kind": {kind.value for kind in RunKind},
        "result": {state.value for state in RunState},
        "state": {state.value for state in ArchiverState},
    }
    asked = [found for rule in rules() for found in matched(rule["expr"])]
    assert {label for label, _ in asked} == {*known, "job"}
    assert [value for label, value in asked if value not in known.get(label, {"backstay"})] == []


def test_every_rule_is_in_the_table():
    """docs/monitoring/README.md names each, in their order."""
    page = (DOCS / "monitoring" / "README.md").read_text()
    told = [row[0] for row in rows(page) if row[0].startswith("Backstay")]

    assert told == [rule["alert"] for rule in rules()]
