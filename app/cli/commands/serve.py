"""The command that runs pages and API."""

import gc
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from uvicorn import Config, Server

from app.api.connections.door import Door, Proxies, most_connections
from app.api.connections.forwarded import Forwarded
from app.api.connections.timeouts import Timeouts
from app.bootstrap.access import open_access
from app.bootstrap.logs import log_by
from app.bootstrap.opening import open_program
from app.bootstrap.program import Program
from app.bootstrap.service import Service, open_service
from app.cli.commands.demo import Report, make_shop, private_server
from app.cli.execution import execute, read_settings, stop_on_signals
from app.cli.options import AsJson
from app.cli.output import CommandResult, print_status
from app.config import Settings
from app.documents.monitoring import Served
from app.domain.access.user import Role
from app.errors import InvalidRequestError
from app.main import create_app
from app.named_files import require_named


# For responses that are on their way when the service is stopped: downloads, requests that wait.
_LAST_RESPONSES_SECONDS: Final = 10
_BACKLOG: Final = 1024


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 8000,
    tls_cert: Annotated[
        Path | None,
        typer.Option("--tls-cert", metavar="FILE", help="Certificate, PEM; with it, HTTPS only."),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key, PEM.")
    ] = None,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="Without BACKSTAY_DATABASE_URL: serve a private server with a sample shop.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run pages and API until a signal stops it; /docs shows what the API can do."""

    async def work() -> CommandResult:
        configured = read_settings()
        log_by(configured)
        async with _installation(configured, demo=demo) as settings:
            with _listen(host, port) as door:
                url = _url(door, is_tls=tls_cert is not None)
                async with open_service(
                    settings, certificate=tls_cert, announce=lambda token: _invite(url, token)
                ) as service:
                    config = _config(service.program, tls_cert, tls_key)
                    bounds = service.program.bounds
                    bounds.connections.limit = most_connections(settings.max_connections)
                    proxies = Proxies(settings.trusted_proxies)
                    door.guard(
                        bounds.connections, bounds.per_client, proxies, is_plain=tls_cert is None
                    )
                    await _serve(service, config, door, url, proxies)
        return CommandResult(Served.of(url), lambda: print_status("Stopped."))

    execute(work, as_json=as_json)


async def _serve(
    service: Service, config: Config, listening: socket.socket, url: str, proxies: Proxies
) -> None:
    """Serve until a signal comes, and everything that was begun has ended."""
    server = _PatientServer(config)
    app = create_app(
        service.program.settings, service=service, is_stopping=lambda: server.should_exit
    )
    config.app = Forwarded(app, proxies)
    try:
        config.load()
    except OSError as exc:  # ssl.SSLError is one
        raise InvalidRequestError(
            "the certificate or its key cannot be used",
            hint="--tls-cert and --tls-key name PEM files that belong together.",
        ) from exc
    print_status(f"Backstay listens on {url}; open it in a browser")
    await service.first_admin.invite()
    gc.freeze()  # what lives as long as the service: a look at all of it would hold up everybody for 0.2 s
    await server.serve(sockets=[listening])


def _url(listening: socket.socket, *, is_tls: bool) -> str:
    host, port = listening.getsockname()[:2]
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _invite(url: str, token: str) -> None:
    """Tell how the first admin is made; what follows the `#` stays in the browser, out of every log."""
    print_status(f"There is no user yet. Make the first admin within an hour: {url}/setup#{token}")


def _config(program: Program, tls_cert: Path | None, tls_key: Path | None) -> Config:
    if tls_key is not None and tls_cert is None:
        raise InvalidRequestError("--tls-key without --tls-cert", hint="Name both files.")
    _require("--tls-cert", tls_cert)
    _require("--tls-key", tls_key)
    bounds = program.bounds
    timeouts = Timeouts(bounds.header_seconds, bounds.body_seconds, bounds.answer_seconds)
    return Config(
        "",
        http=timeouts.protocol,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
        log_config=None,  # ours is in place
        access_log=False,  # what changes something is in the audit
        server_header=False,
        proxy_headers=False,  # `Forwarded` reads them
        timeout_graceful_shutdown=_LAST_RESPONSES_SECONDS,
        lifespan="on",
    )


def _require(option: str, file: Path | None) -> None:
    """Refuse what is no file at once: OpenSSL would wait for a pipe."""
    try:
        if file is not None:
            require_named(file)
    except OSError as exc:
        reason = (exc.strerror or "unreadable").lower()
        raise InvalidRequestError(f"{option}: {reason}", hint="Name a file in PEM.") from exc


class _PatientServer(Server):
    """A server that signals stop once: a second one would interrupt the cleaning."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the place of the handlers that would end it at once."""
        stop_on_signals(self._stop)
        yield

    def _stop(self) -> None:
        print_status("Still stopping." if self.should_exit else "Stopping.")
        self.should_exit = True


def _listen(host: str, port: int) -> Door:
    listening = Door(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as exc:
        listening.close()
        reason = (exc.strerror or "no such address").lower()
        raise InvalidRequestError(
            f"cannot listen on {host} port {port}: {reason}",
            hint="Choose others with --host and --port.",
        ) from exc
    return listening


@asynccontextmanager
async def _installation(settings: Settings, *, demo: bool) -> AsyncIterator[Settings]:
    """Use the settings, or make a private server with a shop for the length of a block."""
    if not demo or settings.database_url.get_secret_value():
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="backstay-serve-", ignore_cleanup_errors=True) as home:
        async with private_server(Path(home), Report(silent=False)) as private:
            async with open_program(private) as program:
                await make_shop(program)
            yield await _with_admin(private)


async def _with_admin(private: Settings) -> Settings:
    """Make somebody who can log in, and say how."""
    password = secrets.token_urlsafe(12)
    async with open_access(private) as access:
        await access.users.create("admin", password, Role.ADMIN)
    print_status(f"A shop to try it on. Log in as admin with the password {password}")
    return private
