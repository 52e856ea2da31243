"""Quoting: names and texts as SQL, and back."""

import re

from hypothesis import given, strategies as st

from app.engine.sql.quoting import folded, qualified, quote, quote_text


@given(st.text())
def test_a_name_is_one_quoted_token(name):
    """Between its backticks a quoted name has only doubled ones, and gives the name back."""
    inner = quote(name)[1:-1]

    assert quote(name) == f"`{inner}`"
    assert inner.replace("``", "`") == name
    assert "`" not in inner.replace("``", "")


def test_percent_signs_are_not_doubled():
    """A name goes to the server as it is: nobody formats the statement again."""
    assert quote("%s %(x)s 100%") == "`%s %(x)s 100%`"


def test_both_parts_of_a_qualified_name_are_quoted():
    """Both parts are quoted for themselves."""
    assert qualified("a.b", "c`d") == "`a.b`.`c``d`"


@given(st.text())
def test_a_text_is_one_literal(text):
    """A quoted text ends where it should, holds no byte that ends texts, and gives the text back."""
    literal = quote_text(text)
    escapes = {r"\\": "\\", r"\'": "'", r"\0": "\0", r"\r": "\r", r"\Z": "\x1a"}

    assert re.fullmatch(r"'(?:[^'\\\0\r\x1a]|\\.)*'", literal, re.DOTALL)
    assert re.sub(r"\\.", lambda found: escapes[found[0]], literal[1:-1], flags=re.DOTALL) == text


def test_names_are_folded_and_texts_are_not():
    """Whatever quote stands within the other."""
    sql = r"SELECT 'It''s A \' Text' AS `A'B` FROM `D`.`T`"
    assert folded(sql) == r"select 'It''s A \' Text' as `a'b` from `d`.`t`"
