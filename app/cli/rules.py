"""Rules of retention, as commands take them."""

from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import ValidationError

from app.domain.backups.retention import RetentionPolicy
from app.domain.document import adapter_of
from app.errors import InvalidRequestError


KeepOption = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="RULE=N",
        help="What is kept: count, days, hourly, daily, weekly, monthly, yearly; and the limits"
        " max_days and max_bytes. Repeatable. Default: as the settings say.",
    ),
]


def policy_of(rules: Sequence[str]) -> RetentionPolicy:
    """Read rules like `daily=7`; raises InvalidRequestError."""
    known = RetentionPolicy.__dataclass_fields__
    values = dict(rule.partition("=")[::2] for rule in rules)
    wrong = InvalidRequestError(
        "--keep: a rule and a number, such as daily=7", hint=f"Rules: {', '.join(known)}."
    )
    try:
        policy = adapter_of(RetentionPolicy).validate_strings(values)
    except ValidationError as exc:
        raise wrong from exc
    if not values.keys() <= known.keys() or any(getattr(policy, name) < 0 for name in known):
        raise wrong
    return policy
