"""What holds for every document, whoever shows it."""

import importlib
import pkgutil
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

import app.documents
from app.documents.access import PrintedUser, UserDocument
from app.documents.base import Document, Moment, SecondText, WholeSecond
from app.domain.access.user import Role, User


AT = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
ANN = User("ann", Role.ADMIN, "$argon2id$...", AT)


def documents(kind=Document):
    """Yield every class of a document in the program."""
    for room in pkgutil.iter_modules(app.documents.__path__):
        importlib.import_module(f"app.documents.{room.name}")
    for child in kind.__subclasses__():
        if child.__module__.startswith("app."):
            yield child
        yield from documents(child)


DOCUMENTS = sorted(set(documents()), key=lambda kind: (kind.__module__, kind.__name__))


class Instants(Document):
    """The ways in which instants are written."""

    moment: Moment
    second_text: SecondText
    whole_second: WholeSecond
    precise: datetime


@dataclass
class Server:
    """A value of which a document tells a part."""

    vendor: str
    version: str
    password: str = "secret"


class ServerVersion(Document):
    """What is told of it."""

    vendor: str
    release: str


@pytest.mark.parametrize("kind", DOCUMENTS, ids=lambda kind: kind.__name__)
def test_a_document_has_all_of_its_keys_and_no_other(kind):
    """What can be missing is null, so that whoever makes one cannot forget a key."""
    assert kind.__doc__
    assert [name for name, field in kind.model_fields.items() if not field.is_required()] == []
    assert kind.model_config["extra"] == "forbid"
    assert kind.model_config["frozen"]


def test_names_of_documents_are_there_once():
    """The API's own document knows them by these."""
    assert len(DOCUMENTS) > 50
    assert len({kind.__name__ for kind in DOCUMENTS}) == len(DOCUMENTS)


def test_instants_are_written_in_four_ways():
    """As the catalogue does, to the second, and as precise as they are."""
    made = Instants(moment=AT, second_text=AT, whole_second=AT, precise=AT)

    assert made.model_dump(mode="json") == {
        "moment": "2026-01-31 12:00:00",
        "second_text": "2026-01-31T12:00:00Z",
        "whole_second": "2026-01-31T12:00:00Z",
        "precise": "2026-01-31T12:00:00.123456Z",
    }


def test_a_document_takes_what_has_the_same_name_and_nothing_else():
    """What a value has beyond that is not told; what it lacks must be given."""
    server = Server("MariaDB", "11.4")

    told = ServerVersion.taken(server, release=server.version)
    assert told.model_dump() == {"vendor": "MariaDB", "release": "11.4"}
    with pytest.raises(AttributeError, match="release"):
        ServerVersion.taken(server)
    with pytest.raises(ValidationError):
        ServerVersion.taken(server, release="11.4", password="secret")


def test_commands_print_users_as_people_read_instants():
    """The API answers the same facts in ISO 8601; nobody gets the hash of a password."""
    user = {
        "name": "ann",
        "role": "admin",
        "created_at": "2026-01-31 12:00:00",
        "disabled_at": None,
    }
    printed, answered = (
        kind.of(ANN).model_dump(mode="json") for kind in (PrintedUser, UserDocument)
    )

    assert printed == {"success": True, "user": user}
    assert answered == {
        "success": True,
        "user": {**user, "created_at": "2026-01-31T12:00:00.123456Z"},
    }
