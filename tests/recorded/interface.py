"""
What can be read off without calling anything: the API's own document, the commands, errors, settings.

Of the program only `errors` and `settings` name modules, and no recording holds the name of one, of a
class or of a function.
"""

import asyncio
import enum
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.recorded.shapes import text


Document = dict[str, Any]

_TEXTS: Final = ("title", "description", "summary")
_UNORDERED: Final = ("anyOf", "oneOf", "allOf")
_SAMPLES: Final = ("examples", "example")
_LONG: Final = 300
_PROBLEM: Final = "application/problem+json"


# -- the document of the API ------------------------------------------------------------------------


def operations(document: Document) -> Document:
    """
    Take the API's document apart.

    Args:
        document: As the service sends it.

    Returns:
        Each operation by method and path, schemas in the places of references; what all share.
    """
    inline = _Inline(document)
    found = {
        f"{method.upper()} {path}": _operation(inline(facts))
        for path, methods in document["paths"].items()
        for method, facts in methods.items()
    }
    _tell_once(found)
    shared = {
        "openapi": document["openapi"],
        "problems": inline.problems,
        "security schemes": inline(document["components"]["securitySchemes"]),
        "tags": sorted(tag["name"] for tag in document["tags"]),
    }
    return {**found, "what all share": shared}


def _operation(facts: Document) -> Document:
    """Put answers that are alike together, and parameters in order."""
    alike: dict[str, tuple[list[str], object]] = {}
    for status, answer in facts.pop("responses").items():
        alike.setdefault(repr(answer), ([], answer))[0].append(status)
    if "parameters" in facts:
        facts["parameters"] = {
            f"{parameter.pop('in')} {parameter.pop('name')}": parameter
            for parameter in facts["parameters"]
        }
    return {
        **facts,
        "responses": {", ".join(sorted(them)): answer for them, answer in alike.values()},
    }


def _tell_once(found: Document) -> None:
    """Leave the body of an answer out where an answer before it has the same."""
    known: dict[str, str] = {}
    for name in sorted(found):
        for statuses, answer in found[name]["responses"].items():
            for content in answer.get("content", {}).values():
                schema = text(content.get("schema")) if isinstance(content, dict) else ""
                here = f"{name}: {statuses}"
                there = known.setdefault(schema, here)
                if len(schema) > _LONG and there != here:
                    content["schema"] = {"as in": there}


class _Inline:
    """
    Copies parts of a document without texts for people and without names of schemas.

    Attributes:
        problems: The schemas of all problems, which stand in no operation.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[object] = []

    def __call__(self, part: Any, path: tuple[str, ...] = ()) -> Any:
        """Copy a part; `path` is the references that have led to it."""
        if isinstance(part, list):
            copied = [self(element, path) for element in part]
            return (
                sorted(copied, key=repr) if all(_is_plain(element) for element in part) else copied
            )
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return self._resolved(part, path)
        return {
            key: self._value(key, value, path)
            for key, value in part.items()
            if _is_structure(key, value)
        }

    def _value(self, key: str, value: Any, path: tuple[str, ...]) -> Any:
        if key == _PROBLEM:
            found = self(value["schema"], path)
            self.problems += [found] if found not in self.problems else []
            return "problem"
        if key in {"scopes", "mapping"} and isinstance(value, dict):
            return sorted(value)
        copied = self(value, path)
        return sorted(copied, key=text) if key in _UNORDERED else copied

    def _resolved(self, part: Document, path: tuple[str, ...]) -> Any:
        name = part["$ref"]
        if name in path:
            return {"again": len(path) - path.index(name)}
        found: Any = self._document
        for step in name.removeprefix("#/").split("/"):
            found = found[step]
        beside = {key: value for key, value in part.items() if key != "$ref"}
        return {**self(found, (*path, name)), **self(beside, path)}


def _is_plain(value: object) -> bool:
    return not isinstance(value, dict | list)


def _is_structure(key: str, value: object) -> bool:
    """Tell whether a key says anything to programs; a property may have the name of a text."""
    is_text = key in _TEXTS and isinstance(value, str)
    return not is_text and not (key in _SAMPLES and not _is_schema(value))


def _is_schema(value: object) -> bool:
    return isinstance(value, dict) and bool({"type", "anyOf", "$ref"} & value.keys())


# -- commands ---------------------------------------------------------------------------------------


def commands() -> Document:
    """Describe every command of the installed program: what it takes, not what its help says."""
    from app.cli.program import build_program  # noqa: PLC0415 - only here

    return dict(_below("backstay", build_program()))


def _below(path: str, command: Any) -> Iterator[tuple[str, Document]]:
    command = command.load() if hasattr(command, "load") else command  # it is imported when needed
    arguments = [
        parameter for parameter in command.params if parameter.param_type_name == "argument"
    ]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    below = getattr(command, "commands", {})
    yield (
        path,
        {
            "arguments": [_parameter(argument) for argument in arguments],
            "options": {", ".join(option.opts): _option(option) for option in options},
            "commands": sorted(below),
            "hidden": command.hidden,
            "no arguments are help": command.no_args_is_help,
            "help is an option": command.add_help_option,
        },
    )
    for name, subcommand in below.items():
        yield from _below(f"{path} {name}", subcommand)


def _option(option: Any) -> Document:
    own = {
        "secondary": option.secondary_opts,
        "is flag": option.is_flag,
        "prompts": bool(option.prompt),
    }
    found = {**_parameter(option), **_said(own)}
    found.pop("metavar", None)  # of an option it is a text of its help
    return found


def _parameter(parameter: Any) -> Document:
    found = {
        "metavar": parameter.metavar,
        "type": _type(parameter.type_descriptor.annotation),
        "least": parameter.min,
        "most": parameter.max,
        "required": parameter.required,
        "multiple": parameter.multiple,
        "count": parameter.nargs,
        "default": parameter.default,
        "default is shown": bool(parameter.default is not None and parameter.show_default),
        "hidden": parameter.hidden,
        "variable": parameter.envvar,
    }
    return _said(found)


def _said(facts: Document) -> Document:
    """Leave out what is as usual."""
    return {
        key: value
        for key, value in facts.items()
        if value is not None and value is not False and value != []
    }


def _type(annotation: Any) -> str:
    """Name a type as people see it: its choices, or what one value is."""
    if typing.get_origin(annotation) is list:
        return _type(typing.get_args(annotation)[0])
    choices = typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        choices = tuple(member.value for member in annotation)
    return "|".join(sorted(choices)) if choices else annotation.__name__.lower()


# -- errors and settings ----------------------------------------------------------------------------


def errors() -> Document:
    """List every code with its exit code, status, title, and whether the same call may succeed later."""
    from app.api.problems import status_of_code  # noqa: PLC0415 - see the top
    from app.cli.exits import USAGE, exit_code  # noqa: PLC0415
    from app.errors import AppError  # noqa: PLC0415

    found: Document = {
        kind.code: {
            "exit": exit_code(kind.__new__(kind)),
            "status": int(status_of_code(kind.code)),
            "title": kind.title,
            "retryable": kind.retryable,
        }
        for kind in _family(AppError)
    }
    cancelled = {exit_code(asyncio.CancelledError()), exit_code(KeyboardInterrupt())}
    return {
        **found,
        "cancelled": {"exit": sorted(cancelled), "status": int(status_of_code("cancelled"))},
        "usage": {"exit": USAGE},
        "a bug": {
            "exit": exit_code(ZeroDivisionError()),
            "status": int(status_of_code("unheard-of")),
        },
    }


def _family(kind: Any) -> Iterator[Any]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


def settings() -> Document:
    """List every variable with its type, bounds and default."""
    from app.config import Settings  # noqa: PLC0415 - see the top

    schema = Settings.model_json_schema()
    inline = _Inline(schema)
    prefix = Settings.model_config["env_prefix"]
    found: Mapping[str, Any] = {
        f"{prefix}{name.upper()}": inline(facts) for name, facts in schema["properties"].items()
    }
    return dict(found)
