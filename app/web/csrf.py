"""
Proof that a form was sent by a page of ours.

Browsers say where a request comes from (`Sec-Fetch-Site`, else `Origin`), and a form holds a token that
is bound to the login. Each page masks the token anew, so that compressed answers do not leak it.
Sources: https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html,
https://www.breachattack.com/
"""

import hashlib
import hmac
import secrets
from typing import Final

from starlette.requests import Request

from app.errors import NotAuthorizedError


FIELD: Final = "csrf"
_NONCE_BYTES: Final = 8
_HINT: Final = "Load the page again and send the form from there."
_STALE: Final = "Look whether you still want what was sent with it."


def token_of(secret: str) -> str:
    """Make a token for the forms of one page."""
    nonce = secrets.token_hex(_NONCE_BYTES)
    return f"{nonce}.{_mac(secret, nonce)}"


def require_same_site(request: Request) -> None:
    """
    Refuse a request that another site has made a browser send.

    Raises:
        NotAuthorizedError: It comes from elsewhere, or says nothing about that.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site != "same-origin":
            raise NotAuthorizedError("the form was sent by another site", hint=_HINT)
        return
    # Over plain HTTP from another machine browsers do not send it.
    origin = request.headers.get("Origin", "")
    if origin != f"{request.url.scheme}://{request.headers.get('Host', '')}":
        raise NotAuthorizedError("the form was sent by another site", hint=_HINT)


def require_token(token: str, secret: str) -> None:
    """
    Refuse a form that was not made for this login.

    Raises:
        NotAuthorizedError: The token is absent, or of another login.
    """
    nonce, _, mac = token.partition(".")
    if not hmac.compare_digest(mac.encode(), _mac(secret, nonce).encode()):
        raise NotAuthorizedError("the form is of another login, or too old", hint=_STALE)


def _mac(secret: str, nonce: str) -> str:
    return hmac.new(secret.encode(), f"form\n{nonce}".encode(), hashlib.sha256).hexdigest()
