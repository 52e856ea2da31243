"""Who may do what, and what names and passwords may be."""

from itertools import product

import pytest

from app.domain.access.user import (
    MAX_PASSWORD,
    MIN_PASSWORD,
    Role,
    require_name,
    require_new_name,
    require_password,
)
from app.errors import InvalidRequestError
from app.services import scheduled_copies
from app.services.access import audit
from app.services.backups import retention
from app.services.monitoring import checks


def test_each_role_may_do_what_those_before_it_may():
    """And nothing more."""
    allowed = {(role, needed) for role, needed in product(Role, Role) if role.allows(needed)}

    assert allowed == {
        (Role.VIEWER, Role.VIEWER),
        (Role.OPERATOR, Role.VIEWER),
        (Role.OPERATOR, Role.OPERATOR),
        (Role.ADMIN, Role.VIEWER),
        (Role.ADMIN, Role.OPERATOR),
        (Role.ADMIN, Role.ADMIN),
    }


@pytest.mark.parametrize("name", ["a", "0", "ann", "ann.b-c_d@example.org", "a" * 64])
def test_plain_names_are_taken_as_they_are(name):
    """Letters, digits and what addresses have."""
    assert require_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Ann",
        " ann",
        "ann\n",
        "ann b",
        ".ann",
        "-ann",
        "@",
        "a" * 65,
        "\u00e4nn",
        "a\0",
        "a/b",
        "a:b",
    ],
    ids=ascii,
)
def test_other_names_are_refused(name):
    """Nothing that a log, a path or a database could take for something else."""
    with pytest.raises(InvalidRequestError, match="user name"):
        require_name(name)


@pytest.mark.parametrize("length", [MIN_PASSWORD, MAX_PASSWORD])
def test_passwords_of_a_good_length_are_taken(length):
    """Of any characters."""
    for character in "a \0\u65e5":
        assert require_password(character * length) == character * length


@pytest.mark.parametrize("length", [0, MIN_PASSWORD - 1, MAX_PASSWORD + 1])
def test_passwords_of_other_lengths_are_refused(length):
    """The refusal does not repeat them."""
    with pytest.raises(InvalidRequestError) as caught:
        require_password("z" * length)

    assert "zz" not in str(caught.value)


def test_nobody_new_is_called_what_the_program_calls_itself():
    """Their deeds could be taken for its own; whoever is called so already logs in as before."""
    programs = {
        audit.ACTOR,
        retention.ACTOR,
        checks._REQUESTER.name,
        scheduled_copies._REQUESTER.name,
    }
    for name in programs | {"service", "binlog", "unknown"}:
        assert require_name(name) == name
        with pytest.raises(InvalidRequestError, match=f"{name} is what the program calls itself"):
            require_new_name(name)
    assert require_new_name("retention2") == "retention2"
