"""JSON as Python has it, what `json.loads` makes and a document is dumped as; and JSON of our own values."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar, cast


if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")
Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
JsonObject = Mapping[str, Json]
_ADAPTERS: Final[dict[object, object]] = {}


def adapter_of(shape: type[T]) -> "TypeAdapter[T]":
    """
    Return what reads values of a shape from JSON, checked, and writes them.

    Returns:
        One for each shape, made when it is first asked for: for a manifest that takes ten milliseconds,
        and most commands read and write few shapes.
    """
    made = _ADAPTERS.get(shape)
    if made is None:
        from pydantic import TypeAdapter  # noqa: PLC0415 - help needs none

        made = _ADAPTERS[shape] = TypeAdapter(shape)
    return cast("TypeAdapter[T]", made)
