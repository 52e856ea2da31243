"""What is kept of the answers of a service: their shape, and what is special in their headers."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.api import Api
from tests.fixtures.api_requests import events
from tests.recorded.rounds import Round
from tests.recorded.shapes import Shape, shape


# What differs from call to call; of these only that they are there.
_VARYING: Final = frozenset({
    "content-disposition",
    "content-range",
    "etag",
    "last-modified",
    "location",
    "repr-digest",
    "retry-after",
    "x-request-id",
})
# What the server adds, whatever the program does.
_DIGEST: Final = re.compile(r"sha256-[^']+")
_OF_TRANSPORT: Final = frozenset({"connection", "content-length", "date", "transfer-encoding"})
# What stands for an id in a path.
_IDS: Final = {
    "BACKUP": r"\bbackup_[0-9a-f]{13}\b",
    "RESTORE": r"\brestore_[0-9a-f]+\b",
    "RUN": r"\brun_[0-9a-f]{16}\b",
}


class Requests:
    """Keeps answers."""

    def __init__(self, made: Round, api: Api) -> None:
        self._made = made
        self.admin = api.client()
        self.backups = api.backups
        self.viewer = api.client("viewer")
        self.nobody = api.client(None)
        self._usual = self._headers(self.nobody.get("/healthz"))

    def __call__(self, name: str, answer: httpx.Response, without: Iterable[str] = ()) -> Any:
        """
        Keep an answer under a name, and return its document.

        Args:
            name: Its operation, and what is special.
            answer: To keep.
            without: Keys of its document that are left to chance.
        """
        is_json = answer.headers.get("content-type", "").endswith("json")
        document = answer.json() if is_json and answer.content else None
        body = shape(document)
        for key in without:
            body[key] = "anything"
        self._keep(name, answer, body)
        return document

    def usual_headers(self) -> None:
        """Keep what other answers are not recorded with, unless it is missing there."""
        self._made.add("headers of every answer", self._usual)

    def stream(self, name: str, answer: httpx.Response) -> None:
        """Keep the events of a stream, which ends by itself."""
        found = [
            {
                **dict.fromkeys(event, "string"),
                "event": event["event"],
                "data": shape(json.loads(event["data"])),
            }
            for event in events(answer)
        ]
        self._keep(name, answer, found)

    def metrics(self) -> None:
        """Keep names, types and labels of all numbers."""
        answer = self.nobody.get("/metrics")
        found: dict[str, Shape] = {}
        for family in text_string_to_metric_families(answer.text):
            labels = shape([sample.labels for sample in family.samples])
            found[family.name] = {"type": family.type, "labels": labels}
        self._keep("get_metrics", answer, found)

    def _keep(self, name: str, answer: httpx.Response, body: Shape) -> None:
        headers = self._headers(answer)
        self._made.add(
            name,
            {
                "request": f"{answer.request.method} {_path(answer.request.url)}",
                "status": answer.status_code,
                "body": body,
                "headers": {
                    **{
                        key: value
                        for key, value in headers.items()
                        if self._usual.get(key) != value
                    },
                    **dict.fromkeys(self._usual.keys() - headers.keys(), "absent"),
                },
            },
        )

    def _headers(self, answer: httpx.Response) -> dict[str, str]:
        return {
            name: "string" if name in _VARYING else _DIGEST.sub("sha256-...", value)
            for name, value in answer.headers.items()
            if name not in _OF_TRANSPORT
        }


def _path(url: httpx.URL) -> str:
    path = url.path
    for name, like in _IDS.items():
        path = re.sub(like, name, path)
    return path
