"""Access tokens: whoever did not sign them with our secret is nobody."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys

import pytest

from app.domain.access.user import Role
from app.security.keys import KeyRing, kid_of
from tests.fixtures.tokens import (
    ANN,
    AUDIENCE,
    GOOD,
    ISSUER,
    JANE,
    OLD,
    REQUIRED,
    SECRET,
    claims,
    now,
    refused,
    segment,
    signed,
    tokens,
)


def test_a_token_of_ours_tells_who_it_is_for():
    """Name, role and login come back as they were."""
    assert tokens().verify(GOOD) == ANN


def test_a_token_of_ours_is_a_plain_jwt():
    """Header and claims are those that other programs expect."""
    header, payload, signature = tokens().mint(ANN).split(".")
    read = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, payload)]

    assert read[0] == {"alg": "HS256", "typ": "JWT", "kid": kid_of(SECRET)}
    assert set(read[1]) == {*REQUIRED, "role", "sid"}
    assert read[1]["exp"] - read[1]["iat"] == 15 * 60
    digest = hmac.digest(SECRET, f"{header}.{payload}".encode(), hashlib.sha256)
    assert signature == segment(digest)


def test_no_two_tokens_are_the_same():
    """Each has a jti of its own."""
    assert tokens().mint(ANN) != tokens().mint(ANN)


def test_a_token_of_another_application_is_accepted():
    """With the shared secret, and without a login here."""
    assert tokens().verify(signed(claims())) == JANE


def test_a_token_without_kid_is_checked_with_the_current_secret_only():
    """Older secrets must be named."""
    plain = {"alg": "HS256"}

    assert tokens().verify(signed(claims(), plain)).role is Role.OPERATOR
    refused(signed(claims(), plain, OLD))


def test_older_secrets_are_still_accepted_by_their_kid():
    """Until they are taken out of the ring."""
    token = signed(claims(), {"alg": "HS256", "kid": kid_of(OLD)}, OLD)

    assert tokens().verify(token) == JANE
    refused(token, tokens(ring=KeyRing(SECRET)))


@pytest.mark.parametrize(
    ("role", "roles", "found"),
    [
        ("viewer", ..., Role.VIEWER),
        ("viewer", ["admin"], Role.VIEWER),
        (..., ["viewer"], Role.VIEWER),
        (..., ["viewer", "admin", "operator"], Role.ADMIN),
        (..., ["editor", "operator", "Admin"], Role.OPERATOR),
    ],
)
def test_the_role_is_one_name_or_the_highest_of_a_list(role, roles, found):
    """Names that we do not know count for nothing."""
    assert tokens().verify(signed(claims(role=role, roles=roles))).role is found


@pytest.mark.parametrize(
    "changed",
    [
        {"role": ...},
        {"role": "root"},
        {"role": "Admin"},
        {"role": ""},
        {"role": None},
        {"role": ["admin"]},
        {"role": {"admin": True}},
        {"role": ..., "roles": []},
        {"role": ..., "roles": ["root"]},
        {"role": ..., "roles": "admin"},
        {"role": ..., "roles": ["admin", 1]},
        {"role": ..., "roles": {"admin": 1}},
        {"role": ..., "roles": None},
    ],
)
def test_an_unknown_role_is_nobody(changed):
    """There is no least role to fall back to."""
    refused(signed(claims(**changed)))


@pytest.mark.parametrize("name", ["", "x" * 129, "a\0b", "a\nb", "\u202eann", 7, None, ["ann"]])
def test_a_subject_is_up_to_128_printable_characters(name):
    """It is written to logs and shown to people."""
    refused(signed(claims(sub=name)))
    assert tokens().verify(signed(claims(sub="Jörg 名" + "x" * 122))).name[:6] == "Jörg 名"


@pytest.mark.parametrize("session_id", ["", "a b", "é", "../x", 7, None, [], {}])
def test_a_strange_login_is_not_no_login(session_id):
    """Only a token without `sid` is one of another application."""
    refused(signed(claims(sid=session_id)))


@pytest.mark.parametrize("name", REQUIRED)
def test_no_claim_may_be_missing(name):
    """Each of them is a promise that somebody relies on."""
    refused(signed(claims(**{name: ...})))


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": 0},
        {"exp": -1},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": None},
        {"exp": []},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**4200},
        {"iat": float("-inf")},
        {"iat": "1"},
        {"iat": None},
        {"nbf": "1"},
        {"nbf": None},
        {"nbf": {}},
        {"nbf": float("inf")},
        {"jti": 7},
        {"iss": "https://other.example"},
        {"iss": [ISSUER]},
        {"iss": None},
        {"aud": "other"},
        {"aud": []},
        {"aud": ["other"]},
        {"aud": [AUDIENCE, 7]},
        {"aud": {AUDIENCE: 1}},
        {"aud": None},
        {"aud": AUDIENCE + "2"},
        {"at_hash": "x"},
    ],
)
def test_a_claim_of_another_value_or_kind_is_refused(changed):
    """Also with a good signature."""
    refused(signed(claims(**changed)))


def test_a_list_of_audiences_with_ours_is_accepted():
    """RFC 7519 allows it."""
    assert tokens().verify(signed(claims(aud=["other", AUDIENCE]))) == JANE


def test_instants_may_have_fractions():
    """RFC 7519 allows them."""
    assert (
        tokens().verify(signed(claims(exp=now() + 60.5, iat=now() - 0.5, nbf=now() - 0.5))) == JANE
    )


def test_a_token_expires_after_its_lifetime():
    """By the clock that is passed in; ten seconds are for clocks that differ."""
    lifetime = 15 * 60
    fresh = tokens().mint(ANN)

    assert tokens(lifetime + 5).verify(fresh) == ANN
    assert "expired" in refused(fresh, tokens(lifetime + 12))
    assert "expired" in refused(signed(claims(exp=now() - 12)))


def test_a_token_of_the_future_is_not_valid_yet():
    """Neither by `nbf` nor by `iat`, with ten seconds for clocks that differ."""
    assert tokens().verify(signed(claims(nbf=now() + 8, iat=now() + 8))) == JANE
    refused(signed(claims(nbf=now() + 12)))
    refused(signed(claims(iat=now() + 12)))


def test_no_code_of_elliptic_curves_is_read():
    """What scripts/audit_exceptions.txt says of ecdsa, whatever signs and proves tokens."""
    code = (
        "import sys; from datetime import timedelta; from app.domain.access.user import Identity, Role;"
        "from app.scheduling.clock import SystemClock; from app.security.keys import KeyRing;"
        "from app.security.tokens import AccessTokens;"
        "t = AccessTokens(KeyRing(b's' * 32), 'i', 'a', SystemClock(), timedelta(minutes=1));"
        "t.verify(t.mint(Identity('ann', Role.VIEWER))); print('ecdsa' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")
