"""Tasks: of each that is begun it is known who hears how it ends, so that no failure is nobody's."""

import ast

from tests.fixtures.pages import ROOT


BEGINS = {"create_task", "ensure_future"}
# By file and function: who hears of its end. A new one needs an answer before it needs a line.
HEARD = {
    ("api/downloads.py", "__call__"): "itself: sending is asked for its result, leaving ends it",
    ("api/disconnects.py", "while_connected"): "itself, which waits for it",
    ("api/middleware.py", "__call__"): "itself: the answer is asked for its result",
    ("binlog/archiver.py", "_take_all"): "itself, which asks for its result",
    ("cli/commands/binlog.py", "work"): "itself, which waits for it",
    ("cli/progress.py", "shown"): "nobody: a line that cannot be printed ends the lines",
    ("concurrency.py", "on_own_loop"): "its own loop, which waits for it",
    ("concurrency.py", "shielded"): "itself, which asks for its result",
    ("concurrency.py", "together"): "itself, which raises the first failure",
    ("control/database.py", "write"): "itself, which waits for it",
    ("engine/dump/rows.py", "_dump_stream"): "a TaskGroup",
    ("engine/dump/rows.py", "_dump_range"): "a TaskGroup",
    ("engine/load/read_ahead.py", "read"): "whoever reads next",
    ("engine/server/heartbeat.py", "awake"): "itself, which raises what failed",
    ("engine/swap/gate.py", "rename"): "itself, which waits for it",
    ("engine/swap/gate.py", "until_held"): "nobody: the question only makes others wait",
    ("main.py", "_working"): "loops that outlive their bugs",
    ("notices/pings.py", "_begin"): "telemetry.bugs.heard",
    ("scheduling/scheduler.py", "_track"): "a loop that outlives its bugs",
    ("services/alerts/service.py", "_spawn"): "telemetry.bugs.heard",
    ("services/backups/inventory.py", "read"): "telemetry.bugs.heard, and whoever asks",
    ("services/binlog/service.py", "_answer_break"): "a loop that outlives its bugs",
    ("services/binlog/service.py", "run"): "itself; copying outlives its bugs",
    ("services/monitoring/environment.py", "_look_around"): "telemetry.bugs.heard",
    ("services/monitoring/probes.py", "ask"): "telemetry.bugs.heard, and whoever asks",
    ("services/monitoring/status.py", "server_error"): "telemetry.bugs.heard, and whoever asks",
    ("services/runs/service.py", "_execute"): "a loop that outlives its bugs",
    ("services/runs/service.py", "_launch"): "perform, or report_failure; the history has it",
    ("web/pages/watch/runs.py", "_followed"): "itself",
}


def begun():
    """Find where tasks are begun: the file and the innermost function."""
    found = set()
    for path in sorted((ROOT / "app").rglob("*.py")):
        name = str(path.relative_to(ROOT / "app"))
        found |= {(name, function) for function in beginning(ast.parse(path.read_text()), "")}
    return found


def beginning(node, function):
    """Yield the names of the functions in which tasks are begun, each the innermost around the call."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        function = node.name
    if isinstance(node, ast.Attribute) and node.attr in BEGINS:
        yield function
    for child in ast.iter_child_nodes(node):
        yield from beginning(child, function)


def test_somebody_hears_how_each_task_ends():
    """Neither is one missing here, nor one told of that is gone."""
    assert begun() == set(HEARD)
