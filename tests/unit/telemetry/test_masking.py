"""Secrets never stand in a log: not those of the settings, nor what looks like one."""

import logging
import time

import pytest
from pydantic import SecretStr

from app.bootstrap.logs import log_by, secrets_of
from app.config import Settings
from app.telemetry.masking import Masker, pieces
from tests.unit.telemetry.test_logs import log  # noqa: F401 - a fixture


SECRETS = {
    "database_url": "mysql://shop:Hunter2%40%2F%C3%BCber@db.example/shop",
    "control_url": "mysql://keeper:Keeper'\"\\pw1@db.example/backstay",
    "jwt_secret": "the words that sign, thirty-two bytes of them",
    "jwt_old_secrets": "0123456789abcdef0123456789abcdef an-old-Secret-2",
    "admin_password": "correct horse battery",
    "alert_urls": (
        "mailto://bob:Mail.pw.77@mail.example?to=ops@shop.example failure,disk="
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/ json://user:js0nPass@hook.example/Hook0Path9"
    ),
    "ping_urls": "https://hc-ping.com/5c1f8a7e-0000-4d2b-9d1e-1f2e3d4c5b6a daily=https://p.example/AbCdEfGh",
    "metrics_token": "metrics-Token-123",
    "audit_key": "the words that seal, thirty-two bytes too",
    "identity": "AGE-SECRET-KEY-1HUNTER2HUNTER2 AGE-SECRET-KEY-1ANOTHER2ANOTHER2",
    "identity_passphrase": "a phrase that opens",
    "identity_command": "vault read -token=Vault7Token8",
    "stores": "vault=sftp://keeper:StorePw5@vault.example/x disk=local:///mnt/backups",
}
# What of it must never be read, as written or decoded.
HIDDEN = [
    "Hunter2%40%2F%C3%BCber", "Hunter2@/über", "Keeper'\"\\pw1", SECRETS["jwt_secret"],
    "0123456789abcdef0123456789abcdef", "an-old-Secret-2", "correct horse battery", "Mail.pw.77",
    "T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ", "js0nPass", "Hook0Path9",
    "5c1f8a7e-0000-4d2b-9d1e-1f2e3d4c5b6a", "AbCdEfGh", "metrics-Token-123",
    SECRETS["audit_key"], "AGE-SECRET-KEY-1HUNTER2HUNTER2", "AGE-SECRET-KEY-1ANOTHER2ANOTHER2", "a phrase that opens", "Vault7Token8",
    "StorePw5",
]  # fmt: skip


def chained(text):
    """Make an error with a cause and a context that all tell it."""
    try:
        try:
            try:
                raise KeyError(text)  # noqa: TRY301 - all of it in one place
            except KeyError:
                raise OSError(2, text, text)  # noqa: B904 - the context is what is tested
        except OSError as exc:
            raise RuntimeError(f"because of {text}") from exc
    except RuntimeError as exc:
        exc.add_note(text)
        return exc


def test_every_secret_of_the_settings_is_known():
    """A new one is in this test as well."""
    names = {
        name for name in Settings.model_fields if isinstance(getattr(Settings(), name), SecretStr)
    }

    assert names == set(SECRETS)


@pytest.mark.parametrize("form", ["line", "json"])
@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_of_the_settings_is_ever_told(log, capsys, form, name):  # noqa: F811 - the fixture
    """Thrown at the log whole and in pieces, in all the places that a line has."""
    settings = Settings.model_validate({**SECRETS, "log_format": form})
    log_by(settings)
    text = SECRETS[name]
    for piece in (text, *text.split(), *(part for part in HIDDEN if part in text)):
        extra = {
            "facts": {
                "plain": piece,
                "nested": [{"deep": (piece, {piece: {"deeper": piece.encode()}})}],
                "object": SecretStr(piece),
                "error": ValueError(piece),
            }
        }
        log.info("told %s", piece, extra=extra)
        log.error("failed: %r", piece, exc_info=chained(piece))
        logging.getLogger("uvicorn.error").warning("%s", piece)
        logging.getLogger("apscheduler.executors").error(
            "Job %r failed", piece, exc_info=chained(piece)
        )
    written = capsys.readouterr().err

    assert written.count("told") > 0
    shown = (written, written.encode().decode("unicode_escape", errors="replace"))
    assert [hidden for hidden in HIDDEN if any(hidden in text for text in shown)] == []


MASKED = [
    # passwords in addresses
    ("failed for mysql://u:hun@ter/2@h/d", "failed for mysql://u:***@h/d"),
    ("mysql+aiomysql://u:p@h/d?ssl_ca=/x", "mysql+aiomysql://u:***@h/d?ssl_ca=/x"),
    ("mysql://root@h:3306/d", "mysql://root@h:3306/d"),
    ("https://ghp-token@host/x", "https://***@host/x"),
    ("https://user:pw@host/x", "https://user:***@host/x"),
    # addresses whose host may be a token
    ("to slack://T1/B2/C3, now", "to slack://*** now"),
    ('"discord://1234/abcd"', '"discord://***"'),
    # credentials of a header, and tokens of the service
    ("Authorization: Bearer abcdefgh.ijkl", "Authorization: *** ***"),
    ("sent 'Basic dXNlcjpwdw==' there", "sent 'Basic ***' there"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl is over", "*** is over"),
    # names that tell
    ("login?user=a&password=b&x=c", "login?user=a&password=***&x=c"),
    ("BACKSTAY_JWT_SECRET='a b c' serve", "BACKSTAY_JWT_SECRET=*** serve"),
    ('{"refresh_token": "a\\"b", "name": "c"}', '{"refresh_token": ***, "name": "c"}'),
    ("X-Api-Key=abc, next", "X-Api-Key=***, next"),
    # what only looks like one
    ("BACKSTAY_JWT_SECRET: too short", "BACKSTAY_JWT_SECRET: too short"),
    ("access denied (using password: YES)", "access denied (using password: YES)"),
    ("see https://example.org/docs?page=2", "see https://example.org/docs?page=2"),
    ("the token is missing", "the token is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_what_looks_like_a_secret_is_masked(text, masked):
    """And nothing beside it."""
    assert Masker().text(text) == masked


@pytest.mark.parametrize(
    "key",
    ["password", "db_password", "jwt_secret", "access_token", "Authorization", "set-cookie",
     "database_url", "alert_urls", "ping_url", "api_key", "credentials", "passphrase"],
)  # fmt: skip
def test_values_under_telling_names_are_masked_at_any_depth(key):
    """Whatever they are; other names are left."""
    masker = Masker()

    assert masker.value({key: "x"}) == {key: "***"}
    assert masker.value([{"a": ({key: ["x"]},)}]) == [{"a": [{key: "***"}]}]
    assert masker.value({"backup_id": "x", "tables": 3}) == {"backup_id": "x", "tables": 3}


def test_short_secrets_are_masked_only_where_their_place_tells():
    """A password that is a word would tell itself by every gap."""
    settings = Settings(database_url=SecretStr("mysql://shop:shop@h/shop"))
    masker = Masker(secrets_of(settings))

    assert masker.text("the database shop") == "the database shop"
    assert masker.text("mysql://shop:shop@h/other") == "mysql://shop:***@h/other"


def test_the_pieces_of_an_address_are_its_secrets():
    """Passwords and tokens, not hosts and words."""
    found = pieces("failure=slack://bot@T1JJ3T3L2/general/TIiajkdnlazkcOXr%21?to=ops")

    assert found == {
        "failure=slack://bot@T1JJ3T3L2/general/TIiajkdnlazkcOXr%21?to=ops",
        "failure=slack://bot@T1JJ3T3L2/general/TIiajkdnlazkcOXr!?to=ops",
        "slack://bot@T1JJ3T3L2/general/TIiajkdnlazkcOXr%21?to=ops",
        "slack://bot@T1JJ3T3L2/general/TIiajkdnlazkcOXr!?to=ops",
        "T1JJ3T3L2",
        "TIiajkdnlazkcOXr%21",
        "TIiajkdnlazkcOXr!",
    }


def test_a_settings_without_secrets_masks_nothing():
    """The empty text is no secret."""
    assert secrets_of(Settings()) == {""}
    assert Masker(secrets_of(Settings())).text("a b c") == "a b c"


SLOW = [
    "a" * 99_999,
    "a" * 50_000 + " ://",
    "token" * 20_000 + "=",
    ("token" * 24 + " ") * 800,
    "http://a" * 9_000,
    "mysql://u:" * 9_000,
    "-eyJaaaaaa" * 9_000,
    "'token" * 9_000,
    'secret="\\' * 9_000,
    "password" + " " * 90_000,
]


@pytest.mark.parametrize("text", SLOW, ids=lambda text: text[:12])
def test_no_text_takes_long(text):
    """Made by somebody to be slow, it takes moments, and what is too long is cut."""
    begun = time.process_time()
    masked = Masker(["a-secret-of-the-settings"]).text(text)

    assert time.process_time() - begun < 2
    assert len(masked) <= 1.1 * (32 << 10)


def test_a_secret_is_not_cut_in_two():
    """One that stands where a long text is cut is masked first."""
    secret = "a-secret-of-the-settings"
    masked = Masker([secret]).text("." * ((32 << 10) - 10) + secret)

    assert "a-sec" not in masked
    assert "***" in masked
