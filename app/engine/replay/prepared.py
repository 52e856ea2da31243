"""XA transactions that were prepared before a point and end behind it, or never."""

from app.engine.server.connection import Session


async def roll_back_prepared(session: Session) -> int:
    """
    Roll back what is prepared on a scratch server: of the state at the point it is no part yet.

    Returns:
        How many there were; a later end of one means nothing to a copy of this state.
    """
    reply = await session.query("XA RECOVER")
    for form, gtrid, bqual, data in reply.rows:
        raw, length = data or b"", int(gtrid or 0)
        first, second = raw[:length].hex(), raw[length : length + int(bqual or 0)].hex()
        await session.query(f"XA ROLLBACK X'{first}', X'{second}', {int(form or 0)}")
    return len(reply.rows)
