"""
Secrets never stand in a log, whoever forgot to leave them out.

1. What the settings say is secret is masked wherever it stands, letter for letter.
2. Values under telling names are masked whole, at any depth.
3. In texts, what looks like a secret: passwords in addresses, all of an address whose host may be a
   token, JWTs, identities of age, credentials of an `Authorization` header, and `name=value` with a
   telling name.

Not guaranteed: a secret that is not in the settings, short, and has no mark of one.
"""

import re
from collections.abc import Iterable, Mapping, Set as AbstractSet
from math import isfinite
from typing import Final
from urllib.parse import unquote


MASK: Final = "***"
# Shorter ones are words that stand everywhere: masking them would tell that they are the password.
_LEAST_KNOWN: Final = 6
_LEAST_PIECE: Final = 8
# A line of more is nobody's to read.
_LONGEST: Final = 32 << 10
# Facts are shallow; what is deeper than this is a mistake, or holds itself.
_DEEPEST: Final = 8
_TELLING: Final = (
    r"passw|passphrase|secret|token|authorization|cookie|credential|api[_-]?key|private[_-]?key"
)
_SECRET_KEY: Final = re.compile(
    rf"{_TELLING}|database_url|control_url|(?:alert|ping)_urls?", re.IGNORECASE
)
# All of them are bounded: text of any length, made to be slow, must not be.
# What stands between `//user:` and the last `@` of an address; passwords may hold `@` and `/`.
_PASSWORD_IN_URL: Final = re.compile(r"(\w{1,30}://[^\s:/@]{0,300}:)\S{1,500}(@)")
_USER_IN_HTTP_URL: Final = re.compile(r"(https?://)[^\s/:@]{1,120}@", re.IGNORECASE)
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30})://[^\s\"'<>]+")
# Of these everything but the password may be read; of others, such as slack://TOKEN, nothing.
_PLAIN_SCHEMES: Final = frozenset({"http", "https", "mysql", "mariadb", "sqlite", "file", "unix"})
_JWT: Final = re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?")
_IDENTITY: Final = re.compile(r"(AGE-SECRET-KEY-)[A-Z0-9-]{8,}", re.IGNORECASE)
_AUTHORIZATION: Final = re.compile(r"\b([Bb]earer|BEARER|[Bb]asic|BASIC)(\s+)[\w.~+/=-]{8,}")
_VALUE: Final = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"',;&)}\]]+)"""
_NAMED: Final = re.compile(rf"(?<!\w)(\w{{0,60}}(?:{_TELLING})\w{{0,60}}=){_VALUE}", re.IGNORECASE)
# After a colon only where the name is quoted, is that of a header, or cannot be that of a variable:
# `BACKSTAY_JWT_SECRET: too short` is fine. A server says `(using password: YES)`.
_PAIRED: Final = re.compile(
    rf"""((?:["']\w{{0,60}}(?i:{_TELLING})\w{{0,60}}["']|\b(?i:authorization|cookie|set-cookie)|\bpass(?:word|wd))"""
    rf"""\s*:\s*)(?!(?:YES|NO)\b){_VALUE}"""
)


class Masker:
    """
    Takes secrets out of texts and values.

    Args:
        known: Secrets of this installation, such as `pieces` returns them.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        long_enough = [secret for secret in known if len(secret) >= _LEAST_KNOWN]
        forms = {form for secret in long_enough for form in _forms(secret)}
        # The longest first, so that nothing of it is left beside a shorter one.
        longest = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest))) if longest else None

    def text(self, text: str) -> str:
        """Mask what is secret of a text."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        if len(text) > _LONGEST:  # after that, lest half a secret be left at its end
            text = f"{text[:_LONGEST]}..."
        if "://" in text:
            text = _PASSWORD_IN_URL.sub(rf"\1{MASK}\2", text)
            text = _USER_IN_HTTP_URL.sub(rf"\1{MASK}@", text)
            text = _URL.sub(_plain_url, text)
        text = _IDENTITY.sub(rf"\1{MASK}", _JWT.sub(MASK, text))
        text = _AUTHORIZATION.sub(rf"\1\2{MASK}", text)
        return _PAIRED.sub(rf"\1{MASK}", _NAMED.sub(rf"\1{MASK}", text))

    def value(self, value: object, *, depth: int = 0) -> object:
        """
        Mask a fact.

        Args:
            value: Anything.
            depth: How deep it lies in another one.

        Returns:
            Something that JSON can hold: numbers and names as they are, the rest as masked text.
        """
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if isfinite(value) else str(value)
        if isinstance(value, bytes):
            value = value.decode(errors="backslashreplace")
        if isinstance(value, str) or depth > _DEEPEST:
            return self.text(str(value) if depth <= _DEEPEST else "...")
        return self._many(value, depth + 1)

    def _many(self, value: object, depth: int) -> object:
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): MASK
                if _SECRET_KEY.search(str(key))
                else self.value(item, depth=depth)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | AbstractSet):
            return [self.value(item, depth=depth) for item in value]
        return self.text(str(value))


def pieces(address: str) -> set[str]:
    """
    Return what is secret of an address of a server or of a service that takes alerts.

    Args:
        address: Such as `mysql://user:password@host/` or `failure=slack://TOKEN/TOKEN`.

    Returns:
        All of it, its password, and what in it looks like a token; as written, and decoded.
    """
    rest = address.partition("://")[2]
    found = {address, address[address.rfind("=", 0, len(address) - len(rest)) + 1 :]}
    # Which `@` is the one before the host is not always clear: `mailto://user:pw@host?to=a@b`.
    users = [rest[: at.start()] for at in re.finditer("@", rest)]
    found |= {user.partition(":")[2] for user in users}
    found |= {part for part in re.split(r"[/?&=:@,]", rest) if _looks_secret(part)}
    return {form for text in found if text for form in (text, unquote(text))}


def command_pieces(command: str) -> set[str]:
    """Return what is secret of a command: all of it, and what in its words looks like a token."""
    parts = re.split(r"[\s=:,'\"/@]", command)
    return {command, *(part for part in parts if _looks_secret(part))}


def _looks_secret(text: str) -> bool:
    """Tell tokens from words: a host has dots, a word has no digits and no mixed case."""
    has_both = text.lower() != text and text.upper() != text
    return (
        len(text) >= _LEAST_PIECE
        and "." not in text
        and (has_both or any(character.isdigit() for character in text))
    )


def _forms(secret: str) -> set[str]:
    """Return a secret as it is, and as `repr` shows it."""
    return {secret, repr(secret)[1:-1]}


def _plain_url(found: re.Match[str]) -> str:
    schemes = found[1].lower().split("+")
    return found[0] if schemes[0] in _PLAIN_SCHEMES else f"{found[1]}://{MASK}"
