"""How templates show values: sizes, instants, spans, names that somebody else has chosen."""

import json
import math
import re
import shlex
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from markupsafe import Markup

from app.domain.backups.retention import RetentionPolicy
from app.domain.ids import instant_of, parse_backup_id
from app.domain.places import sizes
from app.domain.schedule import explain
from app.domain.server.product import product_of
from app.errors import BackupNotFoundError


_TEN: Final = 10
# Controls, what turns directions, breaks of lines, halves of signs, signs of no agreement and none at all.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"})
_INSTANT: Final = r"(?P<minute>\d{4}-\d\d-\d\d \d\d:\d\d)(?P<second>:\d\d)? UTC"
# Of its id people know nothing; what stands beside the sentence leads to it.
_BACKUP: Final = r"\b(?P<word>[Bb]ackup) (?P<id>backup_[0-9a-f]{13})\b"
_KNOWN: Final = re.compile(f"{_INSTANT}|{_BACKUP}")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# Two units tell enough.
_SPANS: Final = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s"))


def size(count: float | None) -> str:
    """Show bytes as `1.2 GB`; an unknown size is a dash."""
    return "-" if count is None else sizes.size(count)


def number(count: float | None) -> str:
    """Show a count with thin spaces between thousands; an unknown one is a dash."""
    return "-" if count is None else f"{count:,.0f}".replace(",", "\u202f")


def span(seconds: float | timedelta | None) -> str:
    """Show a span by its two largest units: `2 h 5 min`, or `0.4 s`; an unknown one is a dash."""
    if seconds is None:
        return "-"
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if abs(seconds) < _TEN:
        tenths = f"{abs(seconds):.1f} s"
        return "0 s" if not seconds else "under 0.1 s" if tenths == "0.0 s" else tenths
    left = int(abs(seconds))
    parts: list[str] = []
    for length, name in _SPANS:
        count, left = divmod(left, length)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts[:2])


def lag(seconds: float) -> str:
    """Show how far something is behind, never less than it is: `4 s`."""
    return span(whole) if (whole := max(math.ceil(seconds), 1)) >= _TEN else f"{whole} s"


def plural(count: int, word: str, many: str = "") -> str:
    """Show a count with its noun: `1 backup`, `2 backups`."""
    return f"{number(count)} {word if count == 1 else many or word + 's'}"


def instant(text: datetime | str) -> datetime:
    """Read the instant of a document."""
    return text if isinstance(text, datetime) else datetime.fromisoformat(text)


def moment(at: datetime | None, style: str = "short") -> Markup:
    """
    Show an instant in UTC, which a script turns into the browser's zone.

    Args:
        at: Aware; None = a dash.
        style: `short` (date and minute) or `long` (with the second).

    Returns:
        Markup.
    """
    if at is None:
        return Markup("-")
    text = f"{at:%Y-%m-%d %H:%M:%S}" if style == "long" else f"{at:%Y-%m-%d %H:%M}"
    return Markup('<time datetime="{}" data-style="{}" title="{} UTC">{} UTC</time>').format(
        at.isoformat(timespec="seconds"), style, f"{at:%Y-%m-%d %H:%M:%S}", text
    )


def ago(at: datetime, now: datetime) -> Markup:
    """Show how long ago an instant was, which is told beside it: `2 h 5 min ago`."""
    return Markup('<time datetime="{}" data-local title="{} UTC">{} ago</time>').format(
        at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d %H:%M:%S}", span(now - at)
    )


def foreign(text: object) -> Markup:
    """Show a name or text that somebody else has chosen: apart from its surroundings, with nothing hidden."""
    return Markup('<bdi hx-ignore translate="no">{}</bdi>').format(plain(text))


def told(text: object) -> Markup:
    """Show a sentence of ours, which may have such names in it; its instants, and backups, as they are shown elsewhere."""
    sentence, begin, parts = str(text), 0, []
    for found in _KNOWN.finditer(sentence):
        known = _backup_in(found) if found["id"] else _moment_in(found)
        parts += [plain(sentence[begin : found.start()]), known]
        begin = found.end()
    return Markup('<bdi hx-ignore translate="no">{}</bdi>').format(
        Markup("").join([*parts, plain(sentence[begin:])])
    )


def _moment_in(found: re.Match[str]) -> Markup | str:
    try:
        at = datetime.fromisoformat(f"{found['minute']}{found['second'] or ''}").replace(tzinfo=UTC)
    except ValueError:  # somebody has chosen a name like that
        return found[0]
    return moment(at, "long" if found["second"] else "short")


def _backup_in(found: re.Match[str]) -> Markup | str:
    made = made_at(found["id"])
    if made is None:
        return found[0]
    return Markup('{} <span title="{}">of {}</span>').format(
        found["word"], found["id"], moment(made)
    )


def plain(text: object) -> str:
    """Show such a text where there can be no element around it, such as in an option."""
    return "".join(map(_visible, str(text)))


def _visible(sign: str) -> str:
    """Show what has no glyph, or turns the direction of others, by its number."""
    if sign == " " or unicodedata.category(sign) not in _UNSEEN:
        return sign
    return f"\\u{ord(sign):04x}"


def made_at(backup_id: str) -> datetime | None:
    """Return when a backup was made, by its id; None = it is the id of none."""
    try:
        return instant_of(parse_backup_id(backup_id))
    except BackupNotFoundError:
        return None


def action_words(action: str) -> str:
    """Say what somebody did, by the operation: `create backup`; a rehearsal by what people call its kinds."""
    return "dry run or drill" if action == "rehearse_restore" else action.replace("_", " ")


def changes(found: Mapping[str, object]) -> str:
    """
    Show what was changed.

    A page of the audit has hundreds of them, so they are one text: Unicode's isolates keep apart what
    somebody else has chosen, as an element does for `foreign`.

    Returns:
        A line a field, such as `cron: nothing \u2192 30 2 * * *`.
    """
    return "\n".join(f"{_isolated(name)}: {_changed(pair)}" for name, pair in found.items())


def _changed(pair: object) -> str:
    if isinstance(pair, list) and len(pair) == len(("old", "new")):
        return " \u2192 ".join(_value(found) for found in pair)
    return _value(pair)


def _value(found: object) -> str:
    if found is None:
        return "nothing"
    if found == "":
        return "empty"
    return _isolated(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False))


def _isolated(text: str) -> str:
    return f"\u2068{plain(text)}\u2069"


def opening(text: str) -> str:
    """Begin a sentence with a capital letter, unless it begins with an identifier."""
    word = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if word.isalpha() else text


def rules(policy: RetentionPolicy) -> str:
    """Say what is kept: `the 30 newest, 12 monthly; nothing older than 400 days`."""
    newest = "the newest" if policy.count == 1 else f"the {policy.count} newest"
    kept = [newest] if policy.count else []
    kept += [f"all younger than {plural_days(policy.days)}"] if policy.days else []
    kept += [
        f"{count} {name}"
        for count, name in (
            (policy.hourly, "hourly"),
            (policy.daily, "daily"),
            (policy.weekly, "weekly"),
            (policy.monthly, "monthly"),
            (policy.yearly, "yearly"),
        )
        if count
    ]
    limits = [f"nothing older than {plural_days(policy.max_days)}"] if policy.max_days else []
    limits += [f"at most {size(policy.max_bytes)}"] if policy.max_bytes else []
    return "; ".join([", ".join(kept) or "everything", *limits])


def plural_days(count: float) -> str:
    """Show days, also parts of one: `1 day`, `0.5 days`."""
    return f"{count:g} day" + ("" if count == 1 else "s")


FILTERS: Final[Mapping[str, Callable[..., object]]] = {  # type: ignore[explicit-any]  # what Jinja takes
    "size": size,
    "number": number,
    "span": span,
    "lag": lag,
    "instant": instant,
    "plural": plural,
    "moment": moment,
    "ago": ago,
    "foreign": foreign,
    "told": told,
    "plain": plain,
    "made_at": made_at,
    "action_words": action_words,
    "changes": changes,
    "opening": opening,
    "product": product_of,
    "shell": shlex.quote,
    "rules": rules,
    "sentence": explain,
}
