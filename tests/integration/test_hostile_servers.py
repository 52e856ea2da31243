"""Whoever answers in the place of a server gets no password, no proof of one and no file."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from app.control import database
from app.control.database import ControlDatabase
from app.engine.server.server import Server as Target
from app.errors import AppError, ConnectionFailedError, ControlUnavailableError
from tests.fixtures.certificates import make_certificates
from tests.fixtures.fake_server import NONCE, OK, FakeServer, error, switch, wants


USER, PASSWORD = "visible-user", "visible-password"
SECRET_FILE = "never leaves this machine"
MUST = ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]
# Each asks for the password itself, in its way.
TELLING = [
    [switch("mysql_clear_password"), OK],
    [switch("dialog", b"\x04Password: "), OK],
    [switch("sha256_password"), OK],
    [switch("caching_sha2_password"), b"\x01\x04", OK],
    [switch("mysql_native_password"), switch("mysql_clear_password"), OK],
    [switch("client_ed25519", NONCE), switch("dialog", b"\x04Password: "), OK],
]
REFUSED = [
    [b"\xfe", OK],
    [switch("mysql_old_password"), OK],
    [switch("authentication_\x1b[2Jwebauthn_client"), OK],
]


async def by_engine(address: str, options: str, _tmp_path: Path) -> None:
    """Log in to what is to be backed up, and ask something."""
    target = Target(f"mysql://{USER}:{PASSWORD}@{address}/d?{options}", timeout_seconds=2)
    try:
        async with target.session() as session:
            await session.query("SELECT 'asked'")
    finally:
        await target.close()


async def by_control(address: str, options: str, tmp_path: Path) -> None:
    """Log in to the control database, and ask something."""
    control = ControlDatabase(f"mysql://{USER}:{PASSWORD}@{address}/d?{options}", tmp_path)
    try:
        await control.ping()
    finally:
        await control.close()


@pytest.fixture(params=[by_engine, by_control])
def log_in(request, tmp_path) -> Callable[..., object]:
    """The two ways to a server: what is backed up, and the control database."""
    return lambda address, options="": request.param(address, options, tmp_path)


@pytest.fixture
def file(tmp_path) -> Path:
    """A file that a server would like to have."""
    path: Path = tmp_path / "secret"
    path.write_text(SECRET_FILE)
    return path


async def refused(attempt) -> AppError:
    """Require the error that each side has for a server that is of no use."""
    with pytest.raises((ConnectionFailedError, ControlUnavailableError)) as caught:
        await attempt
    assert "BACKSTAY_" in caught.value.hint
    return caught.value


@pytest.mark.parametrize("mode", MUST)
async def test_nothing_is_sent_in_the_clear_where_it_must_be_encrypted(mode, log_in, tmp_path):
    """To a server that offers no TLS not one byte is sent, not even the user's name."""
    ca = make_certificates(tmp_path / "good", "127.0.0.1").ca
    async with FakeServer().running() as fake:
        caught = await refused(log_in(fake.address, f"ssl_mode={mode}&ssl_ca={ca}"))
    assert fake.raw == 0
    assert f"offers no TLS, and ssl_mode is {mode}" in str(caught)


@pytest.mark.parametrize("options", ["ssl_mode=VERIFY_CA&ssl_ca={}", "ssl_ca={}"])
@pytest.mark.parametrize("whose", ["somebody else's", "over"])
async def test_one_that_cannot_prove_who_it_is_hears_no_name(options, whose, log_in, tmp_path):
    """TLS comes before the login, and fails with a certificate of somebody else, or one that was good once."""
    good = make_certificates(tmp_path / "good", "127.0.0.1")
    other = make_certificates(tmp_path / "other", "127.0.0.1", is_over=whose == "over")
    trusted = other.ca if whose == "over" else good.ca
    async with FakeServer(tls=other).running() as fake:
        await refused(log_in(fake.address, options.format(trusted)))
    assert len(fake.heard) == 1
    assert not fake.has_heard(USER.encode())


@pytest.mark.parametrize("options", ["", "ssl_mode=DISABLED", "ssl_mode=REQUIRED"])
@pytest.mark.parametrize("login", TELLING, ids=range(len(TELLING)))
async def test_no_password_is_told_to_one_who_has_proven_nothing(login, options, log_in, tmp_path):
    """In whatever order it asks, in the clear or over TLS that verifies nothing."""
    tls = make_certificates(tmp_path / "any", "127.0.0.1") if "REQUIRED" in options else None
    async with FakeServer(login=login, tls=tls).running() as fake:
        caught = await refused(log_in(fake.address, options))
    assert not fake.has_heard(PASSWORD.encode())
    assert "ssl_mode=VERIFY_CA&ssl_ca=FILE" in caught.hint


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "sha256_password", "dialog", ""])
async def test_a_greeting_does_not_choose_what_is_told(plugin, log_in):
    """The first answer is a proof, whatever the greeting names."""
    async with FakeServer(plugin=plugin, login=[error(1045, b"no")]).running() as fake:
        await refused(log_in(fake.address))
    assert fake.has_heard(USER.encode())
    assert not fake.has_heard(PASSWORD.encode())


@pytest.mark.parametrize("options", ["", "ssl_ca={ca}"])
@pytest.mark.parametrize("login", REFUSED, ids=range(len(REFUSED)))
async def test_what_is_unknown_or_broken_is_not_done(login, options, log_in, tmp_path):
    """Not over verified TLS either; the name of the plugin is printed without its controls."""
    files = make_certificates(tmp_path / "good", "127.0.0.1")
    async with FakeServer(login=login, tls=files if options else None).running() as fake:
        caught = await refused(log_in(fake.address, options.format(ca=files.ca)))
    assert "which this program does not do" in str(caught)
    assert "\x1b" not in str(caught)
    assert len(fake.heard) == (2 if options else 1)


@pytest.mark.parametrize("login", TELLING, ids=range(len(TELLING)))
async def test_verified_servers_and_sockets_may_ask(login, log_in, tmp_path):
    """The password goes to a server that has proven who it is, and through a Unix socket."""
    good = make_certificates(tmp_path / "good", "127.0.0.1")
    async with FakeServer(login=login, tls=good).running() as fake:
        await log_in(fake.address, f"ssl_mode=VERIFY_CA&ssl_ca={good.ca}")
    assert fake.has_heard(PASSWORD.encode() + b"\0")
    socket = tmp_path / "socket"
    # That plugin asks for TLS there as well.
    mode = "REQUIRED" if b"sha256" in login[0] and b"caching" not in login[0] else "PREFERRED"
    async with FakeServer(login=login, tls=good).running(socket) as fake:
        await log_in("localhost", f"unix_socket={socket}&ssl_mode={mode}")
    assert fake.has_heard(PASSWORD.encode() + b"\0")


async def test_tls_is_taken_where_it_is_offered(log_in, tmp_path, caplog):
    """Without ssl_mode as the vendors' clients do; DISABLED is in the clear."""
    files = make_certificates(tmp_path / "any", "127.0.0.1")
    with caplog.at_level(logging.WARNING):
        for options, is_encrypted in (("", True), ("ssl_mode=DISABLED", False)):
            async with FakeServer(tls=files).running() as fake:
                await log_in(fake.address, options)
            assert (len(fake.heard[0]) == 32) is is_encrypted
    assert "exposed" not in caplog.text  # nothing has left this machine


@pytest.mark.parametrize("begins", ["SET SESSION", "SELECT", "COMMIT", "SET AUTOCOMMIT", "SHOW"])
async def test_no_file_is_sent_because_a_server_names_it(begins, log_in, file):
    """Not as the answer to the first statement, to any other, nor to any of the driver's own."""
    answer = lambda sql: [wants(file)] if sql.upper().startswith(begins) else None  # noqa: E731
    async with FakeServer(answer=answer).running() as fake:
        try:
            await log_in(fake.address)
        except AppError as exc:
            assert "BACKSTAY_" in exc.hint or exc.code == "connection-lost"  # noqa: PT017 - one may never be sent
    assert not fake.has_heard(SECRET_FILE.encode())
    assert not fake.flags & 0x80, "it was told that files are sent"


@pytest.mark.parametrize("asked", ["first", "again", "unasked"])
async def test_a_load_sends_nothing_but_its_own_bytes(asked, file):
    """Whatever file the server names, once for each statement; to no other statement at all."""

    def answer(sql: str) -> list[bytes] | None:
        if sql.startswith("LOAD DATA"):
            return [wants(file)] if asked == "first" else [wants(file), wants(file)]
        return [wants(file)] if sql == "SELECT 1" else None

    async with FakeServer(answer=answer).running() as fake:
        target = Target(f"mysql://{USER}@{fake.address}/", timeout_seconds=2)
        session = await target.open(loads=True)
        load = session.load_local("LOAD DATA LOCAL INFILE 'backstay' INTO TABLE t", [b"ours"])
        if asked == "first":
            await load
        else:
            statement = load if asked == "again" else session.query("SELECT 1")
            with pytest.raises(AppError, match="asked for a file"):
                await statement
            load.close()
        await session.close()
        await target.close()
    assert not fake.has_heard(SECRET_FILE.encode())
    assert fake.has_heard(b"ours") is (asked != "unasked")


async def test_a_connection_that_does_not_load_sends_nothing_either(file):
    """Also when the statement is a LOAD DATA of ours."""
    async with FakeServer(
        answer=lambda sql: [wants(file)] if "LOAD" in sql else None
    ).running() as fake:
        target = Target(f"mysql://{USER}@{fake.address}/", timeout_seconds=2)
        async with target.session() as session:
            with pytest.raises(AppError, match="asked for a file"):
                await session.load_local("LOAD DATA LOCAL INFILE 'x' INTO TABLE t", [b"ours"])
        await target.close()
    assert not fake.has_heard(b"ours")


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\x00" + b"\x0a" * (1 << 20),
        b"\x05\x00\x00\x00\x0a5.5\x00",
        b"\x04\x00\x00\x00\x09abc",
        b"\x01\x00\x00\x00\xff",
    ],
    ids=range(7),
)
async def test_nonsense_is_an_error_like_any_other(greeting, log_in, monkeypatch):
    """Silence, another protocol, lengths that are absurd: refused in time, and nothing is sent."""
    monkeypatch.setattr(database, "_CONNECT_SECONDS", 1)
    async with FakeServer(greeting=greeting).running() as fake:
        async with asyncio.timeout(60):
            await refused(log_in(fake.address))
    assert fake.raw == 0


@pytest.mark.parametrize(
    "login", [[b""], [b"\xfb/etc/passwd"], [b"\x01\x04"], [b"\x02"], [b"\xff"]]
)
async def test_nonsense_in_a_login(login, log_in):
    """The same after we have said who we are."""
    async with FakeServer(login=login).running() as fake:
        await refused(log_in(fake.address))


async def test_words_of_a_server_are_printed_without_their_controls():
    """An error that would clear the terminal, or forge a line, shows what it holds."""
    said = b"no\x1b[2J\r\nOK: all is well\xe2\x80\xae"
    async with FakeServer(
        answer=lambda sql: [error(1064, said)] if "asked" in sql else None
    ).running() as fake:
        with pytest.raises(AppError) as caught:
            await by_engine(fake.address, "", Path())
    assert "no\\x1b[2J\\r\\nOK: all is well\\u202e" in str(caught.value)


@pytest.mark.parametrize("answer", [[b"\x02", b"\x00"], [b"\x01", b"short"], [b""]])
async def test_an_answer_that_makes_no_sense_ends_the_connection(answer):
    """It is an error of the server, not of this program."""
    async with FakeServer(answer=lambda sql: answer if "asked" in sql else None).running() as fake:
        with pytest.raises(AppError, match="not MySQL's protocol") as caught:
            await by_engine(fake.address, "", Path())
    assert caught.value.code == "connection-lost"
