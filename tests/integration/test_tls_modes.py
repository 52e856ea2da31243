"""ssl_mode on real servers, beside what the vendor's own client does with the same."""

import getpass
import subprocess

import pytest

from app.engine.server.server import Server as Target
from app.errors import ConnectionFailedError
from tests.fixtures.certificates import Certificates, make_certificates
from tests.fixtures.chosen_server import CLIENT, IS_MYSQL, NAME
from tests.fixtures.servers import Sql


# What the client is told for the same. That of 10.11 gives up TLS where it is not offered, unless it is
# told to verify the server; MySQL's refuses, as we do.
OPTIONS = {
    "DISABLED": ("--skip-ssl",),
    "PREFERRED": (),
    "REQUIRED": ("--ssl",),
    "VERIFY_CA": ("--ssl-ca={}",),
    "VERIFY_IDENTITY": ("--ssl-verify-server-cert", "--ssl-ca={}"),
}
STRICTER = {("none", "REQUIRED"), ("none", "VERIFY_CA")}
if IS_MYSQL:
    OPTIONS = {
        mode: (f"--ssl-mode={mode}", *(["--ssl-ca={}"] if "VERIFY" in mode else []))
        for mode in OPTIONS
    }
    STRICTER.clear()
NO_TLS = "--tls-version=" if IS_MYSQL else "--skip-ssl"
if NAME == "mariadb-11.8":  # for an address of this machine that client forgives another name
    STRICTER.add(("misnamed", "VERIFY_IDENTITY"))
REFUSED = {
    "none": {"REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"},
    "good": set(),
    "other": {"VERIFY_CA", "VERIFY_IDENTITY"},
    "misnamed": {"VERIFY_IDENTITY"},
}


async def connects(url: str) -> bool:
    """Log in, and tell whether that was possible."""
    target = Target(url, timeout_seconds=10)
    try:
        async with target.session() as session:
            version = (await session.texts("SHOW STATUS LIKE 'Ssl_version'"))[0][1]
            assert session.channel.version == version
    except ConnectionFailedError:
        return False
    else:
        return True
    finally:
        await target.close()


def run_client(*arguments: str) -> int:
    """Run the vendor's client and return its exit code."""
    return subprocess.run([CLIENT, *arguments], capture_output=True, check=False).returncode


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Certificates]:
    """Certificates of two authorities, and one with another address in it."""
    path = tmp_path_factory.mktemp("tls")
    addresses = {"good": "127.0.0.1", "other": "127.0.0.1", "misnamed": "127.9.9.9"}
    return {name: make_certificates(path / name, address) for name, address in addresses.items()}


@pytest.mark.parametrize("kind", REFUSED)
async def test_each_mode_on_each_server(kind, files, own_server):
    """The verdict is the one of the vendor's client; where that one is lax, ours is strict."""
    options = files[kind].options if kind != "none" else (NO_TLS,)
    ca = files["misnamed" if kind == "misnamed" else "good"].ca
    verdicts = {}
    with own_server(*options) as server:
        for mode, arguments in OPTIONS.items():
            query = f"ssl_mode={mode}" + (f"&ssl_ca={ca}" if "VERIFY" in mode else "")
            verdicts[mode] = await connects(f"{server.url}?{query}")
            told = [argument.format(ca) for argument in arguments]
            address = ["--no-defaults", "--host=127.0.0.1", f"--port={server.port}", "--user=root"]
            client = run_client(*address, *told, "-e", "SELECT 1")
            if (kind, mode) not in STRICTER:
                assert verdicts[mode] is (client == 0), mode

    assert {mode for mode, connected in verdicts.items() if not connected} == REFUSED[kind]


async def test_tls_is_made_once_for_a_server(files, own_server):
    """All its connections share one context: the certificates of the machine are not read each time."""
    with own_server(*files["good"].options) as server:
        target = Target(f"{server.url}?ssl_ca={files['good'].ca}")
        sessions = [await target.open(), await target.open(loads=True)]
        sockets = [
            session._driver._connection._writer.get_extra_info("ssl_object") for session in sessions
        ]
        assert sockets[0].context is sockets[1].context
        for session in sessions:
            await session.close()
        await target.close()


@pytest.mark.differs("mysql", reason="it has no plugin ed25519")
async def test_ed25519(own_server):
    """A user of MariaDB's newer plugin logs in, and a wrong password is told as one."""
    with own_server() as server, Sql(server.url) as sql:
        sql.run("INSTALL SONAME 'auth_ed25519'")
        sql.run("CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('p\u00e4ss')")
        url = server.url.replace("root", "ed:{}")
        assert await connects(url.format("p%C3%A4ss"))
        assert not await connects(url.format("wrong"))


async def test_unix_socket_authentication(own_server):
    """An account without a password, for the user of the system that has its name."""
    with own_server() as server, Sql(server.url) as sql:
        name = getpass.getuser()
        if IS_MYSQL:
            sql.run("INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'")
        way = "WITH auth_socket" if IS_MYSQL else "VIA unix_socket"
        sql.run(f"DROP USER IF EXISTS '{name}'@localhost")
        sql.run(f"CREATE USER '{name}'@localhost IDENTIFIED {way}")
        assert await connects(f"mysql://{name}@localhost/?unix_socket={server.socket}")
