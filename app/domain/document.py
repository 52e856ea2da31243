"""JSON as Python has it: what `json.loads` makes, and what a document is dumped as."""

from collections.abc import Mapping, Sequence


Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
JsonObject = Mapping[str, Json]
