"""Parts of lists: the order that a caller names, and how many there are in all."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, FromClause, RowMapping, func, select

from app.control.database import ControlDatabase
from app.domain.stores import Page
from app.errors import InvalidRequestError


async def fetch_page(  # type: ignore[explicit-any]  # a default of SQLAlchemy's
    database: ControlDatabase,
    table: FromClause,
    page: Page,
    *,
    conditions: Sequence[ColumnElement[bool]],
    orders: Mapping[str, Sequence[ColumnElement[object]]],
) -> tuple[Sequence[RowMapping], int]:
    """
    Read a part of a list.

    Args:
        database: Where.
        table: What the list is of.
        page: Which part.
        conditions: Which rows of it, all of them together.
        orders: What a caller may sort by; the last column of each makes the order total.

    Returns:
        The rows, and the count of the whole list at the same moment.

    Raises:
        InvalidRequestError: Nothing can be sorted by this.
    """
    name = page.sort.removeprefix("-")
    if name not in orders:
        raise InvalidRequestError(
            f"sort: one of {', '.join(sorted(orders))}, or with '-' before it"
        )
    descends = page.sort.startswith("-")
    order = [column.desc() if descends else column.asc() for column in orders[name]]
    part = select(table).where(*conditions).order_by(*order).limit(page.limit).offset(page.offset)
    count = select(func.count()).select_from(table).where(*conditions)
    async with database.reading() as connection:
        total = (await connection.execute(count)).scalar_one()
        rows = (await connection.execute(part)).mappings().all()
    return rows, total
