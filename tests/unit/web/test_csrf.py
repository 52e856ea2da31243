"""Tokens of forms."""

import pytest
from hypothesis import given, strategies as st

from app.errors import NotAuthorizedError
from app.web import csrf


def test_a_token_is_good_for_its_login_and_never_twice_the_same():
    """Each page has another one."""
    tokens = {csrf.token_of("secret") for _ in range(50)}

    assert len(tokens) == 50
    for token in tokens:
        csrf.require_token(token, "secret")
        with pytest.raises(NotAuthorizedError):
            csrf.require_token(token, "another secret")


@given(st.text(max_size=200))
def test_nothing_else_is_a_token(text):
    """Whatever is sent is refused, and nothing fails on it."""
    with pytest.raises(NotAuthorizedError):
        csrf.require_token(text, "secret")
