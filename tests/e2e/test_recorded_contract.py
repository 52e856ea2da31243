"""
What the program promises to whoever calls it is what was recorded, part by part.

Commands and settings, the API's own document, codes, and every answer of one ordinary round. Texts for
people, names of classes and data are not in it. After a change that is meant,
`.venv/bin/python -m tests.recorded` records anew; what has changed in tests/recorded/*.json is then
reviewed like code.
"""

import pytest

from tests.fixtures.chosen_server import IS_MYSQL
from tests.recorded.recording import DOCUMENTS, Recording, SharedRecording, recorded
from tests.recorded.shapes import difference


RECORDED = {document: recorded(document) for document in DOCUMENTS}
PARTS = [(document, part) for document, parts in RECORDED.items() for part in parts]
# Whoever is first records a whole document, half a minute of commands; who comes meanwhile waits for that.
pytestmark = [pytest.mark.waits, pytest.mark.timeout(900)]


# The backup with accounts, which MariaDB warns of: it does not show its own one.
WARNED = {
    "backup create",
    "backup info, new",
    "backup info, checked and pinned",
    "restore run --dry-run",
    "restore run --into --dry-run, not empty",
}


def _promised(document: str, part: str) -> object:
    """Return what was recorded; MySQL shows all accounts, so nothing is to be warned of there."""
    answer = RECORDED[document][part]
    if IS_MYSQL and document == "answers_to_commands" and part in WARNED:
        assert answer["document"]["warnings"] == ["string"]
        return {**answer, "document": {**answer["document"], "warnings": []}}
    return answer


@pytest.fixture(scope="module")
def recording(tmp_path_factory, server_template):
    """What the program promises now; commands and service have a server of their own."""
    with Recording(tmp_path_factory.mktemp("recording"), server_template) as made:
        yield SharedRecording(made, server_template.with_name("recorded"))


@pytest.mark.parametrize(("document", "part"), PARTS, ids=lambda name: name)
def test_what_is_promised_is_what_was_recorded(recording, document, part):
    """Keys, types, codes and defaults are the same; a difference is shown line by line."""
    found = recording[document]
    if part not in found.answers:
        why = found.broken.strip().rpartition("\n")[2] or "the rest is there"
        pytest.fail(f"{document}: {part} is missing: {why}", pytrace=False)

    change = difference(_promised(document, part), found.answers[part])
    if change:
        pytest.fail(f"{document}: {part}\n{change}", pytrace=False)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_nothing_is_promised_that_was_not_recorded(recording, document):
    """A command, a route, a code or a setting that is new is recorded as well."""
    found = recording[document]

    assert found.broken == ""
    assert sorted(found.answers.keys() - RECORDED[document].keys()) == []


def test_every_operation_of_the_api_is_asked():
    """The round leaves no route out, so that each has an answer that succeeds."""
    asked = {
        part.partition(",")[0]
        for part, answer in RECORDED["answers_of_the_api"].items()
        if answer.get("status", 500) < 300
    }
    operations = {
        operation["operationId"]
        for operation in RECORDED["api"].values()
        if "operationId" in operation
    }

    assert sorted(operations - asked) == []


def test_every_command_with_a_document_is_called():
    """The rounds leave none out, so that each has an answer that succeeds."""
    called = [
        part.partition(",")[0]
        for document in ("answers_to_commands", "answers_of_the_api")
        for part, call in RECORDED[document].items()
        if call.get("exit") == 0
    ]
    commands = [
        path.removeprefix("backstay ")
        for path, command in RECORDED["commands"].items()
        if "--json" in command["options"]
    ]

    assert [
        command for command in commands if not any(name.startswith(command) for name in called)
    ] == []
