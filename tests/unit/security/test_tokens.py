"""Access tokens: whoever did not sign them with our secret is nobody."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from app.domain.user import Identity, Role
from app.errors import InvalidRequestError, NotAuthenticatedError
from app.security.keys import KeyRing, kid_of
from app.security.tokens import AccessTokens


SECRET, OLD, FOREIGN = b"current " * 8, b"older---" * 8, b"unknown-" * 8
SECRET = SECRET.replace(b" ", b"-")
ISSUER, AUDIENCE = "https://shop.example", "backstay"
REQUIRED = ("iss", "aud", "sub", "iat", "exp", "jti")
ANN = Identity("ann", Role.OPERATOR, "0123456789abcdef")
JANE = Identity("jane@shop.example", Role.OPERATOR)


class ShiftedClock:
    """The machine's clock, some seconds ahead or behind."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds

    def now(self) -> datetime:
        """Return the shifted instant."""
        return datetime.now(UTC) + timedelta(seconds=self.seconds)  # noqa: TID251 - this is the clock

    def monotonic(self) -> float:
        """Return seconds."""
        return self.now().timestamp()


def tokens(seconds: float = 0, ring: KeyRing | None = None, *, issuer=ISSUER, audience=AUDIENCE):
    """Make what makes and proves tokens, at a moment that is `seconds` from now."""
    return AccessTokens(
        ring or KeyRing(SECRET, [OLD]),
        issuer,
        audience,
        ShiftedClock(seconds),
        timedelta(minutes=15),
    )


def now() -> int:
    """Return the Unix time."""
    return int(ShiftedClock().now().timestamp())


def claims(**changed: object) -> dict[str, object]:
    """Make the claims of another application's token; `...` leaves one out."""
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "jane@shop.example",
        "iat": now(),
        "exp": now() + 600,
        "jti": "1",
        "role": "operator",
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not ...}


def segment(data: bytes) -> str:
    """Encode base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(payload: object, header: object = None, secret: bytes = SECRET, digest="sha256") -> str:
    """Sign as RFC 7515 says, with nothing but the standard library."""
    header = {"alg": "HS256", "typ": "JWT", "kid": kid_of(SECRET)} if header is None else header
    parts = f"{segment(json.dumps(header).encode())}.{segment(json.dumps(payload).encode())}"
    return f"{parts}.{segment(hmac.digest(secret, parts.encode(), digest))}"


def refused(token: str, checks: AccessTokens | None = None) -> str:
    """Check that a token proves nothing, and that the answer does not repeat it."""
    with pytest.raises(NotAuthenticatedError) as caught:
        (checks or tokens()).verify(token)
    told = str(caught.value) + caught.value.hint
    assert not [part for part in token.split(".") if len(part) > 20 and part in told]
    return str(caught.value)


GOOD = tokens().mint(ANN)


def test_a_token_of_ours_tells_who_it_is_for():
    """Name, role and login come back as they were."""
    assert tokens().verify(GOOD) == ANN


def test_a_token_of_ours_is_a_plain_jwt():
    """Header and claims are those that other programs expect."""
    header, payload, signature = GOOD.split(".")
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


@settings(max_examples=1000, deadline=None)
@given(mutated())
def test_a_changed_token_is_nobody(token):
    """And nothing but NotAuthenticatedError comes of it."""
    if token == GOOD:
        assert tokens().verify(token) == ANN
    else:
        refused(token)


@settings(max_examples=500, deadline=None)
@given(JSON, JSON, st.binary(max_size=40))
def test_arbitrary_json_without_our_signature_is_nobody(header, payload, signature):
    """Whatever header and payload say."""
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    refused(".".join(segment(part) for part in parts))
    refused(signed(payload, header, FOREIGN))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=40), st.text())
def test_arbitrary_bytes_are_nobody(header, payload, signature, text):
    """No encoding of anything makes more of it than NotAuthenticatedError."""
    refused(".".join(segment(part) for part in (header, payload, signature)))
    refused(text)


@settings(max_examples=1000, deadline=None)
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
