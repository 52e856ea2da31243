"""Seconds between two columns, which every kind of database writes in its own way."""

from sqlalchemy import ColumnElement, Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction


class _Seconds(GenericFunction[float]):
    """Seconds from the first argument to the second, NULL when either is."""

    name = "seconds_between"
    type = Float()  # type: ignore[mutable-override]  # how a function is declared
    inherit_cache = True


def seconds_between(
    begin: ColumnElement[object], end: ColumnElement[object]
) -> ColumnElement[float]:
    """Return an expression for the seconds from one instant to another."""
    return _Seconds(begin, end)


@compiles(_Seconds, "sqlite")
def _of_sqlite(element: _Seconds, compiler: SQLCompiler, **_: object) -> str:
    begin, end = (compiler.process(clause) for clause in element.clauses)
    return f"(julianday({end}) - julianday({begin})) * 86400.0"


@compiles(_Seconds, "mysql")
def _of_a_server(element: _Seconds, compiler: SQLCompiler, **_: object) -> str:
    begin, end = (compiler.process(clause) for clause in element.clauses)
    return f"TIMESTAMPDIFF(MICROSECOND, {begin}, {end}) / 1000000.0"
