"""Tokens at the door: whoever did not get one with the secret is nobody, whatever they send."""

import hmac
import http.client
import json
import socket
import time
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from app.security.keys import kid_of
from tests.fixtures.api import ISSUER, SECRET, _base64, claims_of, encoded, finished


ENDPOINTS = [
    ("GET", "/api/auth/me"),
    ("POST", "/api/admin/backup/create"),
    ("DELETE", "/api/admin/backup/delete/backup_0000000000000"),
]
# What everybody may know, so that it must not become a secret (RS256 taken for HS256).
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7
6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
-----END PUBLIC KEY-----
"""
NOW = int(time.time())
ANOTHER = "a-secret-that-nobody-ever-told-this-service"


def claims_at(role="admin", **changes):
    """Make claims that are good for a day, however long the tests before these take."""
    claims = {**claims_of(), "exp": NOW + 86400, "role": role, **changes}
    return {name: value for name, value in claims.items() if value is not None}


def part(value):
    """Encode a header or claims."""
    return _base64(json.dumps(value).encode())


def signed(header, claims, *, secret=SECRET, digest="sha384"):
    """Sign with another digest."""
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{_base64(hmac.digest(secret.encode(), text.encode(), digest))}"


def nested():
    """Make a token, signed well, whose claims no parser can follow to their end."""
    text = f"{HEADER}.{_base64(b'[' * 5000)}"
    return f"{text}.{_base64(hmac.digest(SECRET.encode(), text.encode(), 'sha256'))}"


def unsigned(algorithm, signature=""):
    """Make a token that claims to need no signature, or none of ours."""
    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims_at())}.{signature}"


def without(segment):
    """Make a good token, one of whose three parts is missing."""
    return ".".join("" if i == segment else written for i, written in enumerate(GOOD.split(".")))


GOOD = encoded(claims_at())
HEADER, CLAIMS, SIGNATURE = GOOD.split(".")
FOREIGN = {
    "expired": encoded(claims_at(exp=NOW - 60)),
    "expired long ago": encoded(claims_at(iat=1, exp=2)),
    "not valid yet": encoded(claims_at(nbf=NOW + 80000)),
    "issued in the future": encoded(claims_at(iat=NOW + 80000)),
    "forged": encoded(claims_at(), secret=ANOTHER),
    "signed with nothing": encoded(claims_at(), secret=""),
    "signed with one byte": encoded(claims_at(), secret="a"),
    "signed with the name of the variable": encoded(claims_at(), secret="BACKSTAY_JWT_SECRET"),
    "signed with a public key": encoded(claims_at(), {"alg": "RS256"}, secret=PUBLIC_KEY),
    "HS256 with a public key": encoded(claims_at(), secret=PUBLIC_KEY),
    "RS256 by our secret": encoded(claims_at(), {"alg": "RS256"}),
    "ES256 by our secret": encoded(claims_at(), {"alg": "ES256"}),
    "HS384": signed({"alg": "HS384"}, claims_at()),
    "HS512": signed({"alg": "HS512"}, claims_at(), digest="sha512"),
    "HS384 that calls itself HS256": signed({"alg": "HS256"}, claims_at()),
    "hs256": encoded(claims_at(), {"alg": "hs256"}),
    "no algorithm": encoded(claims_at(), {"typ": "JWT"}),
    "algorithms": encoded(claims_at(), {"alg": ["HS256", "none"]}),
    "another issuer": encoded(claims_at(iss="somebody")),
    "issuers": encoded(claims_at(iss=[ISSUER, "somebody"])),
    "another audience": encoded(claims_at(aud="somebody")),
    "an empty audience": encoded(claims_at(aud="")),
    "no audience of several": encoded(claims_at(aud=["somebody", "else"])),
    "an unknown kid": encoded(claims_at(), {"alg": "HS256", "kid": "0000000000000000"}),
    "a kid that is a path": encoded(claims_at(), {"alg": "HS256", "kid": "../../dev/null"}),
    "a kid that is SQL": encoded(claims_at(), {"alg": "HS256", "kid": "' OR 1=1 -- "}),
    "an empty kid": encoded(claims_at(), {"alg": "HS256", "kid": ""}),
    "a kid that is null": encoded(claims_at(), {"alg": "HS256", "kid": None}),
    "a key of its own": encoded(claims_at(), {"alg": "HS256", "jwk": {"kty": "oct", "k": "YQ"}}, secret="a"),
    "critical": encoded(claims_at(), {"alg": "HS256", "crit": ["b64"], "b64": False}),
    "over 8 KB": encoded(claims_at(sub="x" * 9000)),
    "no role": encoded(claims_at(role=None)),
    "an unknown role": encoded(claims_at("root")),
    "a role with a capital": encoded(claims_at("Admin")),
    "an empty role": encoded(claims_at("")),
    "roles without one of ours": encoded(claims_at(role=None, roles=["root", "owner"])),
    "roles that are one text": encoded(claims_at(role=None, roles="admin")),
    "an unknown role beside a known one": encoded(claims_at("root", roles=["admin"])),
    "a subject that is a number": encoded(claims_at(sub=1)),
    "an empty subject": encoded(claims_at(sub="")),
    "a subject with a line break": encoded(claims_at(sub="a\nb")),
    "a login that is not there": encoded(claims_at(sid="0" * 32)),
    "a login that is none": encoded(claims_at(sid="../x")),
    "an expiry that is text": encoded(claims_at(exp=str(NOW + 600))),
    "an expiry that never comes": encoded(claims_at(exp=float("inf"))),
    "an expiry that is no number": encoded(claims_at(exp=float("nan"))),
    "claims that are a list": encoded([claims_at()]),
    "claims that are null": encoded(None),
    "claims that are nested deeply": nested(),
    "a header that is a list": encoded(claims_at(), ["HS256"]),
    "no header": without(0),
    "no claims": without(1),
    "no signature": without(2),
    "two segments": f"{HEADER}.{CLAIMS}",
    "four segments": f"{GOOD}.{SIGNATURE}",
    "five segments": f"{GOOD}.{SIGNATURE}.{SIGNATURE}",
    "padded": f"{GOOD}=",
    "the claims of another": f"{HEADER}.{part(claims_at(sub='x'))}.{SIGNATURE}",
    "a text": "admin",
    "dots": "..",
    "null": "null",
    **{f"no {name}": encoded(claims_at(**{name: None})) for name in ("iss", "aud", "sub", "iat", "exp", "jti")},
    **{f"unsigned, {algorithm}": unsigned(algorithm) for algorithm in ("none", "None", "NONE", "nOnE", "", "none ")},
    **{f"{algorithm} with a signature": unsigned(algorithm, SIGNATURE) for algorithm in ("none", "NONE")},
}  # fmt: skip


def refused(answer):
    """Check that an answer is the one for somebody unknown, and repeats nothing of the token."""
    assert (answer.status_code, answer.json()["code"]) == (401, "not-authenticated"), answer.text
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    return answer.text


@pytest.fixture(scope="module")
def nobody(shared_api):
    """A client that sends what a test gives it, and no token of its own."""
    return shared_api.client(None)


@pytest.fixture(scope="module")
def raw(shared_api):
    """Sends the lines of a request as they are, and tells the status of the answer."""
    address = urlsplit(shared_api.url)

    def send(*lines, target=b"/api/auth/me"):
        head = [b"GET " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", *lines, b"", b""]
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            connection.sendall(b"\r\n".join(head))
            with http.client.HTTPResponse(connection) as answer:
                answer.begin()
                answer.read()
                return answer.status

    return send


@pytest.mark.parametrize("token", FOREIGN.values(), ids=FOREIGN)
def test_a_token_that_is_not_good_opens_nothing(nobody, token):
    """The answer is 401 on every route, and tells nobody what was wrong."""
    for method, path in ENDPOINTS:
        text = refused(nobody.request(method, path, headers={"Authorization": f"Bearer {token}"}))
        assert len(token) < 20 or token not in text
        assert SECRET not in text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_good_token_opens_however_its_scheme_is_written(nobody, scheme):
    """The tokens above differ from this one by what they are named for; the scheme has no case."""
    found = nobody.get("/api/auth/me", headers={"Authorization": f"{scheme} {GOOD}"})

    assert found.json() == {"name": "some-admin", "role": "admin"}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        GOOD,
        f"Basic {GOOD}",
        f"Token {GOOD}",
        f"JWT {GOOD}",
        f"Bearer: {GOOD}",
        f"Bearer\t{GOOD}",
        f"Bearer={GOOD}",
        f"Bearer Bearer {GOOD}",
        f'Bearer "{GOOD}"',
        f"Bearer {GOOD},{GOOD}",
        f"Bearer {GOOD}, Bearer {GOOD}",
        f"Bearer {GOOD} {GOOD}",
        f"Negotiate, Bearer {GOOD}",
        "Basic YWRtaW46YWRtaW4=",
    ],
)
def test_only_one_scheme_is_understood(nobody, value):
    """Anything else in the header is no token."""
    refused(nobody.get("/api/auth/me", headers={"Authorization": value}))


@pytest.mark.parametrize(
    "token",
    [b"\xff" * 40, "тайна".encode(), GOOD.encode() + b"\x80", b"\xe2\x80\x8b" + GOOD.encode()],
)
def test_bytes_beyond_ascii_are_no_token(raw, token):
    """They are refused as any other token."""
    assert raw(b"Authorization: Bearer " + token) == 401


@pytest.mark.parametrize("byte", [b"\0", b"\x01", b"\x1b", b"\x7f", b"\n", b"\r"])
def test_control_characters_are_no_token(raw, byte):
    """The server refuses the request, or the token in it; a NUL never cuts a token short."""
    assert raw(b"Authorization: Bearer " + GOOD.encode() + byte + b"x") in {400, 401}


def test_two_headers_are_no_token(raw):
    """Whatever stands before the service may have looked at the other one."""
    good, other = (
        b"Authorization: Bearer " + token.encode() for token in (GOOD, FOREIGN["forged"])
    )

    assert raw(good) == 200
    assert {raw(good, other), raw(other, good), raw(good, good)} == {401}


def test_a_token_is_taken_from_the_header_only(nobody):
    """Neither the address, nor a cookie, nor a form; those end in logs, or are sent by themselves."""
    path = "/api/auth/me"
    for name in ("access_token", "token", "authorization", "Authorization"):
        refused(nobody.get(path, params={name: GOOD}))
        refused(nobody.get(path, headers={"Cookie": f"{name}={GOOD}"}))
        refused(nobody.get(path, headers={"Cookie": f'{name}="Bearer {GOOD}"'}))
        refused(nobody.post("/api/admin/backup/create", data={name: GOOD}))
    refused(nobody.get(path, headers={"X-Authorization": f"Bearer {GOOD}"}))
    refused(nobody.get(path, headers={"Proxy-Authorization": f"Bearer {GOOD}"}))


@st.composite
def mutations(draw):
    """A good token in which some characters are others, gone, doubled or new."""
    token = list(GOOD)
    letters = st.sampled_from("AQgwZaz09-_.=+/ ~\xe4")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(token) - 1))
        length = draw(st.sampled_from([1, 1, 1, 2, 40]))
        match draw(st.sampled_from(["change", "drop", "double", "add"])):
            case "change":
                token[at] = draw(letters)
            case "drop":
                del token[at : at + length]
            case "double":
                token[at:at] = token[at : at + length]
            case _:
                token.insert(at, draw(letters))
        if not token:
            break
    return "".join(token)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(token=mutations())
def test_no_mutated_token_is_good(nobody, token):
    """Every character counts, also the last one, which has bits to spare."""
    if token.strip() == GOOD:  # white space around it is that of the header
        return
    refused(nobody.get("/api/auth/me", headers={b"Authorization": f"Bearer {token}".encode("latin-1")}))  # fmt: skip


@pytest.mark.parametrize(
    "claims",
    [{"role": "admin"}, {"role": None, "roles": ["customer", "admin"], "sub": "some-admin"}],
    ids=["role", "roles"],
)
def test_the_token_of_another_application_is_enough(shared_api, sql, database, claims):
    """With its admin's role, whichever way it is told, the whole round from backup to restore works."""
    sql.run("CREATE TABLE t AS SELECT 1 AS a")
    client = shared_api.client(None)
    client.headers["Authorization"] = f"Bearer {encoded(claims_at(**claims))}"
    path = "/api/admin/backup"

    begun = client.post(f"{path}/create", json={"databases": [database], "compress": True})
    name = finished(client, begun.json()["run_id"])["backup_id"]
    listed = client.get(f"{path}/list").json()["backups"]
    looked = [client.get(f"{path}/{question}/{name}") for question in ("info", "recovery-options")]
    dry_run = client.post(f"{path}/test-restore/{name}")
    restored = client.post(f"{path}/restore/{name}", json={"create_backup": False})
    runs = [finished(client, begun.json()["run_id"]) for begun in (dry_run, restored)]
    deleted = client.delete(f"{path}/delete/{name}")

    assert name in {backup["backup_id"] for backup in listed}
    assert [answer.status_code for answer in looked] == [200, 200]
    assert [(run["state"], run["asked_by"]) for run in runs] == [("succeeded", "some-admin")] * 2
    assert deleted.status_code == 200


def authorized(token):
    """Make the header of a token."""
    return {"Authorization": f"Bearer {token}"}


def test_secrets_rotate_without_a_new_login(own_api, server):
    """
    After a restart with a new secret, what the old one signed is good as long as it is named.

    Logins, access tokens and refresh tokens survive; other applications change when they like.
    """
    old, new = ("an-old-secret-" * 3, "and-a-new-secret-" * 3)
    password = "correct horse battery"
    api = own_api(server.url).start(JWT_SECRET=old, ADMIN_PASSWORD=password)
    login = {"username": "admin", "password": password}
    grant = api.client(None).post("/api/auth/token", data=login).json()
    of_old = encoded(claims_at(), {"alg": "HS256", "kid": kid_of(old.encode())}, secret=old)
    api.stop()

    api.start(JWT_SECRET=new, JWT_OLD_SECRETS=old)
    nobody = api.client(None)
    statuses = [
        nobody.get("/api/auth/me", headers=authorized(token)).status_code
        for token in (
            grant["access_token"],
            of_old,
            encoded(claims_at(), secret=new),
            encoded(claims_at(), {"alg": "HS256", "kid": kid_of(new.encode())}, secret=new),
            encoded(claims_at(), secret=old),
            encoded(claims_at(), {"alg": "HS256", "kid": kid_of(new.encode())}, secret=old),
            encoded(claims_at(), {"alg": "HS256", "kid": kid_of(old.encode())}, secret=new),
        )
    ]
    fresh = nobody.post("/api/auth/refresh", json={"refresh_token": grant["refresh_token"]}).json()
    api.stop()

    api.start(JWT_SECRET=new, JWT_OLD_SECRETS="")
    nobody = api.client(None)
    later = [
        nobody.get("/api/auth/me", headers=authorized(token)).status_code
        for token in (of_old, grant["access_token"], fresh["access_token"])
    ]

    assert statuses == [200, 200, 200, 200, 401, 401, 401]
    assert later == [401, 401, 200]


@pytest.mark.parametrize("secret", ["a", "x" * 31, PUBLIC_KEY])
def test_no_service_starts_with_a_secret_that_can_be_guessed(own_api, server, secret):
    """A secret of one byte, or one that everybody may know, signs nothing: the start is refused."""
    api = own_api(server.url)
    api.settings["JWT_SECRET"] = secret
    done = api.cli("serve", "--port", "0")

    assert (done.returncode, "BACKSTAY_JWT_SECRET" in done.stderr) == (12, True)
    assert len(secret) < 2 or secret not in done.stderr
