"""JSON documents: what commands print, runs keep and the API answers."""

from collections.abc import Mapping, Sequence


Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
Document = Mapping[str, Json]
