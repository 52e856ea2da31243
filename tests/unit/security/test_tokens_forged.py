"""Access tokens that somebody made who may not: none is accepted."""

import hmac
import json

import pytest
from hypothesis import given, settings, strategies as st

from app.domain.access.user import Identity, Role
from app.errors import InvalidRequestError, NotAuthenticatedError
from app.security.keys import KeyRing, kid_of
from tests.fixtures.series import series
from tests.fixtures.tokens import (
    ANN,
    FOREIGN,
    GOOD,
    JANE,
    REQUIRED,
    SECRET,
    claims,
    refused,
    segment,
    signed,
    tokens,
)


def test_a_forged_signature_is_refused():
    """Whatever secret it is made with."""
    refused(signed(claims(), secret=FOREIGN))
    refused(signed(claims(), secret=b""))
    refused(signed(claims(), secret=kid_of(SECRET).encode()))


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", None, 0, [], ["HS256"], {}])
def test_no_algorithm_is_not_an_algorithm(name):
    """With and without a signature."""
    header = {"alg": name, "kid": kid_of(SECRET)}
    refused(signed(claims(), header))
    refused(signed(claims(), header).rpartition(".")[0] + ".")
    refused(signed(claims(), {"kid": kid_of(SECRET)}))


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("HS384", "sha384"),
        ("HS512", "sha512"),
        ("RS256", "sha256"),
        ("ES256", "sha256"),
        ("PS256", "sha256"),
        ("hs256", "sha256"),
        ("dir", "sha256"),
    ],
)
def test_other_algorithms_are_refused_though_the_secret_is_ours(name, digest):
    """There is one algorithm, so there is nothing to confuse it with."""
    refused(signed(claims(), {"alg": name, "kid": kid_of(SECRET)}, digest=digest))


@pytest.mark.parametrize("kid", ["unknown", "", None, 7, ["x"], {}, "../../dev/null", "' or 1"])
def test_an_unknown_kid_is_refused(kid):
    """It names a secret of ours or nothing."""
    refused(signed(claims(), {"alg": "HS256", "kid": kid}))


@pytest.mark.parametrize("name", ["crit", "jku", "jwk", "x5u"])
def test_a_header_cannot_bring_its_own_key(name):
    """Keys in a header are not looked at, and critical extensions are not understood."""
    header = {"alg": "HS256", name: [{"kty": "oct", "k": segment(FOREIGN)}]}

    refused(signed(claims(), header, FOREIGN))
    if name == "crit":
        refused(signed(claims(), header))


@pytest.mark.parametrize("payload", [None, 7, "text", [], [["sub", "ann"]], True, {}])
def test_a_payload_that_is_no_object_is_refused(payload):
    """Also with a good signature."""
    refused(signed(payload))


@pytest.mark.parametrize("payload", [b"", b"\xff", b"{", b"[" * 5000, b'{"a":' * 1000])
def test_a_payload_that_is_no_json_is_refused(payload):
    """Also with a good signature, and however deep it is."""
    parts = f"{GOOD.split('.')[0]}.{segment(payload)}"
    refused(f"{parts}.{segment(hmac.digest(SECRET, parts.encode(), 'sha256'))}")


@pytest.mark.parametrize("header", [b"", b"\xff", b"[]", b"7", b'"x"', b"[" * 5000, b"null"])
def test_a_header_that_is_no_object_is_refused(header):
    """Whatever else is good."""
    parts = f"{segment(header)}.{GOOD.split('.')[1]}"
    refused(f"{parts}.{segment(hmac.digest(SECRET, parts.encode(), 'sha256'))}")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "....",
        "a.b.c",
        GOOD + ".",
        "." + GOOD,
        GOOD + ".x.y",
        GOOD + "=",
        GOOD + "\n",
        " " + GOOD,
        "Bearer " + GOOD,
        GOOD + "\0",
        "\0",
        GOOD.replace(".", "\0", 1),
        GOOD.replace(".", "..", 1),
        "é" + GOOD,
        GOOD.replace(".", "\uff0e"),
        "\ud800" + GOOD,
        GOOD * 2,
        GOOD.rpartition(".")[0],
        GOOD.rpartition(".")[0] + ".",
        "{}",
        '{"payload": "x", "signatures": []}',
    ],
)
def test_what_is_not_three_segments_is_refused(token):
    """No blank, no NUL, no other alphabet."""
    refused(token)


def test_an_encrypted_token_is_never_looked_at():
    """Five segments are a JWE; python-jose would inflate it."""
    header = segment(b'{"alg":"dir","enc":"A256GCM","zip":"DEF"}')
    refused(f"{header}..{segment(b'0' * 12)}.{segment(b'1' * 40)}.{segment(b'2' * 16)}")


def test_a_token_over_8_kib_is_refused():
    """Though everything about it is good; one just below is read."""
    assert tokens().verify(signed(claims(note="x" * 5500))) == JANE
    refused(signed(claims(note="x" * 6000)))


def test_a_signature_has_one_spelling():
    """The last character has bits to spare, which must be zero."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for last in set(alphabet) - {GOOD[-1]}:
        refused(GOOD[:-1] + last)


def test_a_short_secret_signs_nothing():
    """One byte is guessed at once."""
    with pytest.raises(InvalidRequestError):
        tokens(ring=KeyRing(b"x"))


def test_a_public_key_is_not_a_secret():
    """Everybody knows it."""
    with pytest.raises(InvalidRequestError, match="BACKSTAY_JWT_SECRET"):
        tokens(ring=KeyRing(b"ssh-ed25519-AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAA"))


@pytest.mark.parametrize(
    "secret",
    [b"1234567890" * 4, b'["' + b"a" * 40 + b'"]', b'{"keys":[""],"x":"' + b"a" * 40 + b'"}'],
)
def test_a_secret_is_bytes_whatever_it_looks_like(secret):
    """It is never parsed as a number or as a set of keys, one of which may be empty."""
    ring = KeyRing(secret)
    header = {"alg": "HS256", "kid": ring.current}

    assert tokens(ring=ring).verify(tokens(ring=ring).mint(ANN)) == ANN
    assert tokens(ring=ring).verify(signed(claims(), header, secret)) == JANE
    for part in (b"", b"a" * 40):
        refused(signed(claims(), header, part), tokens(ring=ring))


def test_another_issuer_or_audience_of_ours_refuses_the_token():
    """Two installations with one secret stay apart by these names."""
    refused(GOOD, tokens(issuer="https://other.example"))
    refused(GOOD, tokens(audience="other"))


TEXT = st.text(st.characters(), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Change the good token somewhere."""
    token: str = GOOD
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(token)))
        kind = draw(st.sampled_from(["replace", "delete", "insert", "swap", "cut", "double"]))
        char = draw(st.characters() | st.sampled_from("AZaz09-_.=+/ \0"))
        match kind:
            case "replace":
                token = token[:at] + char + token[at + 1 :]
            case "delete":
                token = token[:at] + token[at + draw(st.integers(1, 9)) :]
            case "insert":
                token = token[:at] + char + token[at:]
            case "swap":
                token = ".".join(draw(st.permutations(token.split("."))))
            case "cut":
                token = token[:at]
            case _:
                token = token[:at] + token
    return token


@pytest.mark.long
@settings(max_examples=series(20, 1000), deadline=None)
@given(mutated())
def test_a_changed_token_is_nobody(token):
    """And nothing but NotAuthenticatedError comes of it."""
    if token == GOOD:
        assert tokens().verify(token) == ANN
    else:
        refused(token)


@pytest.mark.long
@settings(max_examples=series(12, 500), deadline=None)
@given(JSON, JSON, st.binary(max_size=40))
def test_arbitrary_json_without_our_signature_is_nobody(header, payload, signature):
    """Whatever header and payload say."""
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    refused(".".join(segment(part) for part in parts))
    refused(signed(payload, header, FOREIGN))


@pytest.mark.long
@settings(max_examples=series(12, 500), deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=40), st.text())
def test_arbitrary_bytes_are_nobody(header, payload, signature, text):
    """No encoding of anything makes more of it than NotAuthenticatedError."""
    refused(".".join(segment(part) for part in (header, payload, signature)))
    refused(text)


@pytest.mark.long
@settings(max_examples=series(20, 1000), deadline=None)
@given(
    st.dictionaries(st.sampled_from([*REQUIRED, "role", "roles", "sid", "nbf", "at_hash"]), JSON),
    st.dictionaries(st.sampled_from(["alg", "kid", "crit", "typ", "b64", "zip", "enc"]), JSON),
)
def test_arbitrary_claims_with_our_signature_are_somebody_or_nobody(changed, header):
    """An Identity, or NotAuthenticatedError and nothing else."""
    for head in (None, {"alg": "HS256", **header}):
        try:
            found = tokens().verify(signed(claims(**changed), head))
        except NotAuthenticatedError:
            continue
        assert isinstance(found, Identity)
        assert isinstance(found.role, Role)
        assert found.name.isprintable()
