"""
GTIDs, and what a log has of them at one place; two states can be compared.

MariaDB: `domain-server-sequence`; a state is the newest of each server in each domain.
MySQL: `uuid:number`; a state is a set of them. Transactions without a GTID change no state.

Source: https://mariadb.com/kb/en/gtid, https://dev.mysql.com/doc/refman/9.7/en/replication-gtids-concepts.html
"""

import struct
from collections.abc import Iterator
from typing import Final, Protocol, Self
from uuid import UUID

from app.binlog.events.headers import CHECKSUM_BYTES, HEADER_BYTES, Malformed


_COUNT: Final = struct.Struct("<Q")
_INTERVAL: Final = struct.Struct("<QQ")
_LISTED: Final = struct.Struct("<IIQ")
_MOST_LISTED: Final = (1 << 28) - 1


class GtidState(Protocol):
    """What a log has at one place."""

    @property
    def text(self) -> str:
        """All of it as text, from which it can be read again; of equal states equal."""
        ...

    @property
    def position(self) -> str:
        """The text by which the vendor tells it: `gtid_binlog_pos` or `gtid_executed`."""
        ...

    def add(self, gtid: str) -> None:
        """Add a transaction; an empty text is one without a GTID."""
        ...

    def add_between(self, before: Self, after: Self) -> None:
        """Add what came from one state to a later one, where GTIDs rose; of MariaDB the newest of each domain."""
        ...

    def has(self, gtid: str) -> bool:
        """Tell whether a transaction is in it."""
        ...

    def copy(self) -> "GtidState":
        """Return another one, which changes by itself."""
        ...


class MariaGtids:
    """The newest GTID of each server in each domain of MariaDB."""

    def __init__(self) -> None:
        # By domain, then by server, whose last is the newest of the domain.
        self._domains: dict[int, dict[int, int]] = {}

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Read what `text` gave; raises Malformed."""
        state = cls()
        for gtid in filter(None, text.split(",")):
            state.add(gtid)
        return state

    @classmethod
    def listed(cls, event: bytes, *, has_checksums: bool) -> Self:
        """Read a Gtid_list event; raises Malformed."""
        body = memoryview(event)[HEADER_BYTES : len(event) - CHECKSUM_BYTES * has_checksums]
        count = int.from_bytes(body[:4], "little") & _MOST_LISTED
        if len(body) < 4 + count * _LISTED.size:
            raise Malformed("the list of GTIDs is cut short")
        state = cls()
        for domain, server, sequence in _LISTED.iter_unpack(body[4 : 4 + count * _LISTED.size]):
            state._put(domain, server, sequence)
        return state

    def add(self, gtid: str) -> None:
        """Add a transaction."""
        try:
            domain, server, sequence = map(int, gtid.split("-"))
        except ValueError:
            raise Malformed(f"{gtid!r} is no GTID of MariaDB") from None
        self._put(domain, server, sequence)

    def _put(self, domain: int, server: int, sequence: int) -> None:
        servers = self._domains.setdefault(domain, {})
        servers.pop(server, None)
        servers[server] = sequence

    def add_between(self, before: Self, after: Self) -> None:
        """Add the newest of each domain in which something came."""
        for domain, servers in after._domains.items():
            newest = list(servers.items())[-1]
            if newest not in list(before._domains.get(domain, {}).items())[-1:]:
                self._put(domain, *newest)

    def has(self, gtid: str) -> bool:
        """Tell whether a transaction is in it, as far as sequences rise."""
        domain, server, sequence = map(int, gtid.split("-"))
        return self._domains.get(domain, {}).get(server, 0) >= sequence

    def copy(self) -> Self:
        """Return another one."""
        return self.parsed(self.text)

    @property
    def text(self) -> str:
        """Every server of every domain; the newest of a domain is its last."""
        return ",".join(
            f"{domain}-{server}-{sequence}"
            for domain, servers in sorted(self._domains.items())
            for server, sequence in _newest_last(servers)
        )

    @property
    def position(self) -> str:
        """Return it as `gtid_binlog_pos` does: the newest of each domain."""
        newest = {domain: list(servers.items())[-1] for domain, servers in self._domains.items()}
        return ",".join(f"{d}-{server}-{number}" for d, (server, number) in sorted(newest.items()))


def _newest_last(servers: dict[int, int]) -> list[tuple[int, int]]:
    """Sort all but the last: a server lists those in the order of a hash."""
    *others, newest = servers.items()
    return [*sorted(others), newest]


class MysqlGtids:
    """A set of GTIDs of MySQL."""

    def __init__(self) -> None:
        # By source, sorted and apart from each other; the second number is not in it.
        self._intervals: dict[str, list[tuple[int, int]]] = {}

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Read what `text` gave, or a server's `gtid_executed`; raises Malformed."""
        state = cls()
        try:
            for part in filter(None, text.replace("\n", "").replace(" ", "").split(",")):
                source, *intervals = part.split(":")
                for interval in intervals:
                    first, _, last = interval.partition("-")
                    state._put(str(UUID(source)), int(first), int(last or first) + 1)
        except ValueError:
            raise Malformed(f"{text!r} is no set of GTIDs that is known here") from None
        return state

    @classmethod
    def listed(cls, event: bytes, *, has_checksums: bool) -> Self:
        """Read a Previous_gtids event; raises Malformed."""
        body = event[HEADER_BYTES : len(event) - CHECKSUM_BYTES * has_checksums]
        state = cls()
        try:
            (count,) = _COUNT.unpack_from(body)
            if count >> 56:
                raise Malformed("the log has GTIDs with tags, which are not known here")
            offset = _COUNT.size
            for _ in range(count):
                source = str(UUID(bytes=body[offset : offset + 16]))
                (intervals,) = _COUNT.unpack_from(body, offset + 16)
                offset += 16 + _COUNT.size
                for _ in range(intervals):
                    state._put(source, *_INTERVAL.unpack_from(body, offset))
                    offset += _INTERVAL.size
        except (struct.error, ValueError):
            raise Malformed("the set of GTIDs is cut short") from None
        return state

    def add(self, gtid: str) -> None:
        """Add a transaction; an empty text is one without a GTID."""
        if gtid:
            source, _, number = gtid.partition(":")
            self._put(source, int(number), int(number) + 1)

    def _put(self, source: str, first: int, end: int) -> None:
        intervals = self._intervals.setdefault(source, [])
        if intervals and intervals[-1][1] == first:  # as nearly always
            intervals[-1] = (intervals[-1][0], end)
            return
        merged: list[tuple[int, int]] = []
        for start, stop in sorted([*intervals, (first, end)]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
            else:
                merged.append((start, stop))
        self._intervals[source] = merged

    def add_between(self, before: Self, after: Self) -> None:
        """Add all that came."""
        for source, intervals in after._intervals.items():
            for first, end in _without(intervals, before._intervals.get(source, [])):
                self._put(source, first, end)

    def has(self, gtid: str) -> bool:
        """Tell whether a transaction is in it."""
        source, _, number = gtid.partition(":")
        intervals = self._intervals.get(source.lower(), [])
        return any(first <= int(number) < end for first, end in intervals)

    def copy(self) -> Self:
        """Return another one."""
        return self.parsed(self.text)

    @property
    def text(self) -> str:
        """The set as the server writes it, on one line."""
        return ",".join(
            ":".join((source, *(_span(first, end) for first, end in intervals)))
            for source, intervals in sorted(self._intervals.items())
        )

    @property
    def position(self) -> str:
        """Return it as `gtid_executed` does."""
        return self.text


def _without(
    intervals: list[tuple[int, int]], known: list[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Leave sorted intervals out of sorted intervals."""
    for first, end in intervals:
        begin = first
        for start, stop in known:
            if stop <= begin or start >= end:
                continue
            if start > begin:
                yield begin, start
            begin = stop
        if begin < end:
            yield begin, end


def _span(first: int, end: int) -> str:
    return str(first) if end == first + 1 else f"{first}-{end - 1}"


def parsed_state(text: str, *, is_mariadb: bool) -> GtidState:
    """Read a state that `text` gave; raises Malformed."""
    return MariaGtids.parsed(text) if is_mariadb else MysqlGtids.parsed(text)
