"""The benchmark harness on a tiny data set, from the server's start to the JSON file."""

import json

import pytest

from benchmarks import machine, options
from benchmarks.__main__ import measure
from benchmarks.report import Report


def test_ours_and_the_vendors_dump_are_measured_and_checked(tmp_path, capsys):
    """Every program has a line; peers that are not installed have a reason in it."""
    path = tmp_path / "result.json"
    chosen = options.parse(["--only", "backup", "--rounds", "1", "--json", str(path)])

    facts = machine.facts(chosen.backstay, mydumper=None)
    with Report(chosen.json, chosen.rounds, facts) as report:
        measure(chosen, report, "narrow", megabytes=1)

    found = json.loads(path.read_text())
    data = found["data"]["narrow 1 MB"]
    scores = {score["name"]: score for score in data["backup"]}
    for name in ("backstay gzip", "backstay zstd", "mariadb-dump | gzip"):
        assert len(scores[name]["runs"]) == 1, scores[name]["failure"]
        assert scores[name]["output_bytes"] > 0
    assert scores["mariadb-dump | gzip"]["times_ours"] > 0
    assert (data["tables"], data["rows"]) == (1, 31_500)
    assert "MariaDB" in found["machine"]["server"]
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(scores)


@pytest.mark.long(only=True)  # a dozen commands, each with its start
def test_a_table_comes_back_from_a_small_log(tmp_path, capsys):
    """Archived, dropped, found, recovered and restored, by the commands that are measured."""
    path = tmp_path / "result.json"
    words = ["--only", "recovery", "--rounds", "1", "--json", str(path)]
    chosen = options.parse(words)
    chosen.log_megabytes = 2

    with Report(chosen.json, chosen.rounds, {}) as report:
        measure(chosen, report, "shop", megabytes=1)

    found = json.loads(path.read_text())["recovery"]
    assert found["log_bytes"] > 1_500_000
    assert found["rows"] > 12_000
    assert len(found["archived"]) == len(found["ways"]) == 1
    assert all(seconds > 0 for way in found["ways"] for seconds in way.values())
    assert "| replay, MB/s |" in capsys.readouterr().out
