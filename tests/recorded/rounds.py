"""What a round of calls has answered, and the small world that both rounds work in."""

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from tests.fixtures.servers import Sql
from tests.recorded.shapes import Shape


DATABASE: Final = "shop"
_TABLES: Final = (
    "CREATE TABLE customer (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL)",
    (
        "CREATE TABLE purchase (id INT AUTO_INCREMENT PRIMARY KEY, customer INT,"
        " CONSTRAINT buys FOREIGN KEY (customer) REFERENCES customer (id))"
    ),
    "CREATE VIEW buyers AS SELECT DISTINCT customer FROM purchase",
    "CREATE TRIGGER noted AFTER INSERT ON purchase FOR EACH ROW SET @noted = NEW.id",
    "INSERT INTO customer VALUES (1, 'ada'), (2, 'bob')",
    "INSERT INTO purchase (customer) VALUES (1), (2), (2)",
)


@dataclass
class Round:
    """
    Answers by what was asked.

    Attributes:
        answers: As they are recorded.
        broken: Where the round has ended before its time; empty = it has not.
    """

    answers: dict[str, Shape] = field(default_factory=dict)
    broken: str = ""

    def add(self, name: str, answer: Mapping[str, Shape]) -> None:
        """Keep an answer under a name of its own."""
        assert name not in self.answers, name
        self.answers[name] = answer

    @contextmanager
    def to_the_end(self) -> Iterator[None]:
        """Keep what was answered before something went wrong: each answer is judged by itself."""
        try:
            yield
        except Exception:  # noqa: BLE001 - it is told by whoever misses an answer
            self.broken = traceback.format_exc()


def make_shop(url: str) -> None:
    """Make the database anew, and nothing else of ours."""
    with Sql(url) as sql:
        sql.run("SET foreign_key_checks = 0")
        for (name,) in sql.run("SHOW DATABASES"):
            if name.startswith(DATABASE):
                sql.run(f"DROP DATABASE `{name}`")
        sql.script(["SET foreign_key_checks = 1", f"CREATE DATABASE {DATABASE}", f"USE {DATABASE}"])
        sql.script(_TABLES)


def change_shop(url: str) -> None:
    """Change something of every kind that a restore puts right."""
    with Sql(url, DATABASE) as sql:
        sql.script([
            "DELETE FROM purchase WHERE id = 3",
            "CREATE TABLE extra (id INT PRIMARY KEY)",
            "DROP VIEW buyers",
        ])


@contextmanager
def listener() -> Iterator[str]:
    """Listen where messages go: whatever is sent to `/refused` is, and the rest is taken."""
    listening = ThreadingHTTPServer(("127.0.0.1", 0), _Listener)
    thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"json://127.0.0.1:{listening.server_port}"
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


class _Listener(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Take or refuse a message."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(500 if self.path.startswith("/refused") else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""
