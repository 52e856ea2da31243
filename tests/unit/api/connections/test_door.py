"""The door of the service: who is let in, who is refused, and what makes room again."""

import os
import resource
import socket

import pytest

from app.api.connections.door import Door, Proxies, most_connections
from app.concurrency import Bound
from app.errors import InvalidRequestError


LOOPBACK = "127.0.0.1"


@pytest.fixture
def door():
    """A door on the loopback that nobody waits at."""
    with Door(socket.AF_INET) as made:
        made.bind((LOOPBACK, 0))
        made.listen(64)
        made.setblocking(False)
        yield made


def come(door, count=1):
    """Connect as often."""
    return [socket.create_connection(door.getsockname()) for _ in range(count)]


def let_in(door):
    """Accept everybody for whom there is room."""
    found = []
    while True:
        try:
            found.append(door.accept()[0])
        except BlockingIOError:
            return found


def guard(door, *, most, per_client, proxies="", is_plain=True):
    """Count by these limits, and return them."""
    bounds = Bound("most", most), Bound("client", per_client)
    door.guard(*bounds, Proxies(proxies), is_plain=is_plain)
    return bounds


def close(*sockets):
    """Close all."""
    for opened in sockets:
        opened.close()


@pytest.mark.parametrize(
    ("most", "per_client", "proxies", "inside"),
    [
        (3, 9, "", 3),
        (9, 2, "", 2),
        (9, 2, "10.0.0.0/8", 2),
        (9, 2, "10.0.0.0/8, 127.0.0.0/8", 5),
        (9, 2, "*", 5),
        (4, 2, "127.0.0.1", 4),
    ],
)
def test_so_many_are_let_in(door, most, per_client, proxies, inside):
    """In sum, and of one address unless it is a proxy's that is trusted; who leaves makes room."""
    bounds = guard(door, most=most, per_client=per_client, proxies=proxies)
    clients = come(door, 5)
    guests = let_in(door)

    assert len(guests) == inside
    assert bounds[0].used == inside
    assert sum(bound.hits for bound in bounds) == 5 - inside
    guests.pop().close()
    clients += come(door)
    later = let_in(door)
    assert len(later) == 1
    close(*clients, *guests, *later)


def test_who_is_refused_hears_it_where_they_can(door):
    """503 and the end; the end alone where they expect TLS."""
    guard(door, most=1, per_client=9)
    clients = come(door, 2)
    guests = let_in(door)
    assert clients[1].recv(1000).startswith(b"HTTP/1.1 503 ")
    assert clients[1].recv(1000) == b""

    door.guard(*guard(door, most=0, per_client=9), Proxies(""), is_plain=False)
    clients += come(door)
    assert let_in(door) == []
    assert clients[2].recv(1000) == b""
    close(*clients, *guests)


def test_closing_twice_makes_room_once(door):
    """As transports do."""
    most, _ = guard(door, most=2, per_client=9)
    clients = come(door, 2)
    guests = let_in(door)
    close(guests[0], guests[0], guests[0])

    assert most.used == 1
    assert door.by_address == {LOOPBACK: 1}
    close(*clients, *guests)
    assert (most.used, door.by_address) == (0, {})


def test_without_descriptors_who_waits_is_refused(door):
    """Nobody is asked for again and again, and the door stays open."""
    most, _ = guard(door, most=9, per_client=9)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = come(door, 3)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(fd_numbers()), before[1]))
    try:
        assert let_in(door) == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert [client.recv(10) for client in clients] == [b""] * 3
    clients += come(door)

    (guest,) = let_in(door)
    assert most.used == 1
    close(guest, *clients)


def test_a_descriptor_that_others_took_is_not_closed(door, tmp_path):
    """The spare one may be gone when it is to be taken back; its number is somebody else's then."""
    guard(door, most=9, per_client=9)
    (tmp_path / "theirs").write_bytes(b"theirs")
    clients = come(door, 2)
    refuse_without_descriptors(door, door.fileno() + 1)

    theirs = [os.open(tmp_path / "theirs", os.O_RDONLY) for _ in range(8)]
    refuse_without_descriptors(door, min(fd_numbers()))
    assert [os.pread(fd, 9, 0) for fd in theirs] == [b"theirs"] * len(theirs)
    for fd in theirs:
        os.close(fd)
    guests = let_in(door)
    assert len(guests) == len(clients)
    close(*clients, *guests)


def refuse_without_descriptors(door, most):
    """Let the door find that no further number may be used."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            door.accept()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def fd_numbers():
    """Return the numbers that the next descriptors would have."""
    pair = socket.socketpair()
    numbers = [end.fileno() for end in pair]
    close(*pair)
    return numbers


@pytest.mark.parametrize(
    ("address", "included"),
    [
        ("10.1.2.3", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("::1", True),
        ("fe80::1%eth0", False),
        ("", False),
        ("nonsense", False),
    ],
)
def test_proxies_are_addresses_and_networks(address, included):
    """Of both families; what is no address is none."""
    assert Proxies("10.0.0.0/8, 192.0.2.7,::1").include(address) is included


@pytest.mark.parametrize("text", ["10.0.0.0/99", "proxy.example", "10.0.0"])
def test_a_proxy_that_is_no_address_is_refused(text):
    """It would never be trusted, and nobody would know why."""
    with pytest.raises(InvalidRequestError, match="BACKSTAY_TRUSTED_PROXIES"):
        Proxies(text)


def test_descriptors_are_kept_back(monkeypatch):
    """Fewer connections than wanted where there are few; never none."""
    for soft, wanted, most in [(1024, 200, 200), (256, 200, 128), (64, 200, 8)]:
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert most_connections(wanted) == most
