"""
Access tokens: JWTs signed with HMAC-SHA-256; the only module that knows python-jose.

Ours, and those of another application that shares a secret, an issuer and an audience with us.
What python-jose does not check is checked here, before it for what it could be confused by
(segments, `crit`, the choice of a key) and after it for what it takes too lightly (instants).
A `sid` claim makes a token one of a login here; whoever signs elsewhere must leave it out.
"""

import re
import secrets
from collections.abc import Mapping
from datetime import timedelta
from math import isfinite
from typing import Final

from jose import jwt
from jose.backends.base import Key
from jose.constants import ALGORITHMS
from jose.exceptions import ExpiredSignatureError, JOSEError
from jose.jwk import construct
from jose.utils import base64url_decode, base64url_encode

from app.domain.access.user import Identity, Role
from app.domain.ports import Clock
from app.errors import InvalidRequestError, NotAuthenticatedError
from app.security.keys import VARIABLE, KeyRing


# Ours have some 400 bytes; servers in front of us often pass no longer header lines.
_MAX_CHARACTERS: Final = 8 << 10
_MAX_SUBJECT: Final = 128
# How far the clocks of two machines may be apart, in seconds.
_LEEWAY: Final = 10
# Three segments, so that nothing encrypted and no second payload is ever looked at.
_SEGMENTS: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)")
_OPTIONS: Final = {
    "require_exp": True,
    "require_iat": True,
    "require_sub": True,
    "require_aud": True,
    "require_iss": True,
    "require_jti": True,
    "leeway": _LEEWAY,
}
# What python-jose lets through from json, base64 and its own assumptions about types.
_UNREADABLE: Final = (
    JOSEError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RecursionError,
)
_HINT: Final = "Sign in again."


class AccessTokens:
    """
    Makes and proves access tokens.

    Attributes:
        lifetime: From making to expiry.
    """

    def __init__(
        self, keys: KeyRing, issuer: str, audience: str, clock: Clock, lifetime: timedelta
    ) -> None:
        """
        Prepare the keys.

        Args:
            keys: Secrets by `kid`.
            issuer: `iss` of every token, ours and others'.
            audience: `aud` of every token, or one of several.
            clock: Tells what has expired, beside the machine's own clock.
            lifetime: Of new tokens, whole seconds.

        Raises:
            InvalidRequestError: A secret is a public key or a certificate.
        """
        self.lifetime = lifetime
        # Key objects: python-jose would parse text that looks like JSON as a set of keys.
        self._keys = {kid: _key(secret) for kid, secret in keys.secrets.items()}
        self._current = keys.current
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    def mint(self, identity: Identity) -> str:
        """
        Make a token.

        Args:
            identity: Who it is for; with a login here, the token is good for as long as that.

        Returns:
            Three segments of base64url, separated by dots.
        """
        issued_at = int(self._clock.now().timestamp())
        claims: dict[str, str | int] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": identity.name,
            "iat": issued_at,
            "exp": issued_at + int(self.lifetime.total_seconds()),
            "jti": secrets.token_hex(16),
            "role": identity.role.value,
        }
        if identity.session_id:
            claims["sid"] = identity.session_id
        return jwt.encode(
            claims,
            self._keys[self._current],
            algorithm=ALGORITHMS.HS256,
            headers={"kid": self._current},
        )

    def verify(self, token: str) -> Identity:
        """
        Prove that a token was signed with a secret of ours, is for us, and is good now.

        Returns:
            Who it is for; whether their login still lasts is not known here.

        Raises:
            NotAuthenticatedError: Anything is wrong with it; the message tells nothing of it.
        """
        try:
            return _identity(self._claims(token))
        except ExpiredSignatureError as exc:
            raise NotAuthenticatedError("the access token has expired", hint=_HINT) from exc
        except _UNREADABLE as exc:
            raise NotAuthenticatedError("the access token is not valid", hint=_HINT) from exc

    def _claims(self, token: str) -> dict[str, object]:
        if len(token) > _MAX_CHARACTERS:
            raise ValueError("too long")
        segments = _SEGMENTS.fullmatch(token)
        if segments is None:
            raise ValueError("not three segments")
        signature = segments[1].encode()
        if base64url_encode(base64url_decode(signature)) != signature:
            # The last character has bits to spare: one token could be written in several ways.
            raise ValueError("not canonical")
        claims: dict[str, object] = jwt.decode(
            token,
            self._key_for(jwt.get_unverified_header(token)),
            algorithms=[ALGORITHMS.HS256],
            audience=self._audience,
            issuer=self._issuer,
            options=_OPTIONS,
        )
        self._check_instants(claims)
        return claims

    def _key_for(self, header: Mapping[str, object]) -> Key:
        if "crit" in header:
            # RFC 7515, 4.1.11: whoever does not understand what it names must refuse the token.
            raise ValueError("has critical extensions")
        kid = header.get("kid", self._current)
        if not isinstance(kid, str):
            raise TypeError("kid is not text")
        return self._keys[kid]

    def _check_instants(self, claims: Mapping[str, object]) -> None:
        now = self._clock.now().timestamp()
        if _instant(claims["exp"]) + _LEEWAY <= now:
            raise ExpiredSignatureError
        if _instant(claims["iat"]) > now + _LEEWAY:
            raise ValueError("issued in the future")
        if "nbf" in claims and _instant(claims["nbf"]) > now + _LEEWAY:
            raise ValueError("not valid yet")


def _key(secret: bytes) -> Key:
    try:
        return construct(secret, ALGORITHMS.HS256)
    except JOSEError as exc:
        raise InvalidRequestError(
            f"{VARIABLE}: a public key or certificate is not a secret",
            hint="Use the output of 'openssl rand -hex 32'.",
        ) from exc


def _instant(value: object) -> float:
    # python-jose takes "1", true and 1e400 for numbers as well.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number of seconds")
    if not isfinite(value):
        raise ValueError("not an instant")
    return value


def _identity(claims: Mapping[str, object]) -> Identity:
    name, session_id = claims["sub"], claims.get("sid", "")
    if not isinstance(name, str) or not isinstance(session_id, str):
        raise TypeError("sub or sid is not text")
    if not 0 < len(name) <= _MAX_SUBJECT or not name.isprintable():
        raise ValueError("sub is empty, too long, or not printable")
    if "sid" in claims and not (session_id and session_id.isalnum() and session_id.isascii()):
        raise ValueError("sid is not one of ours")
    return Identity(name, _role(claims), session_id)


def _role(claims: Mapping[str, object]) -> Role:
    """Read `role`, one name; or without it `roles`, of which the highest that is known counts."""
    if "role" in claims:
        name = claims["role"]
        if not isinstance(name, str):
            raise TypeError("role is not a name")
        return Role(name)
    names = claims["roles"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError("roles is not a list of names")
    return max((role for role in Role if role.value in names), key=list(Role).index)
