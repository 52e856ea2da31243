"""Command line: keys of backups are made, shown and tested; nothing secret is told unasked."""

import stat
import subprocess

import pytest

from tests.fixtures.cli import PROGRAM, SECONDS, Cli


@pytest.fixture
def alone(tmp_path):
    """The program without a server."""
    return Cli("", tmp_path)


def _secret(cli, name="key"):
    return (cli.home / name).read_text().splitlines()[-1]


def _typing(cli, line, *arguments):
    return subprocess.run(
        [PROGRAM, *arguments],
        input=line,
        capture_output=True,
        check=False,
        timeout=SECONDS,
        cwd=cli.home,
        env={"PATH": cli.path, "HOME": str(cli.home)},
    )


def test_an_identity_is_made_set_and_proven(alone):
    """From nothing to a proof in three commands, as docs/encryption.md has them."""
    made = alone("key", "new", "--out", "key")
    recipient = made.out.removeprefix("BACKSTAY_ENCRYPT_TO=").strip()
    proven = alone("key", "check", ENCRYPT_TO=recipient, IDENTITY_FILE="key")

    assert made.out == f"BACKSTAY_ENCRYPT_TO={recipient}\n"
    assert made.err.startswith("Identity written to key.\n")
    assert stat.S_IMODE((alone.home / "key").stat().st_mode) == 0o600
    assert proven.out == f"{recipient}: opened by BACKSTAY_IDENTITY_FILE\n"
    assert _secret(alone) not in made.out + made.err + proven.out + proven.err
    assert sorted(path.name for path in alone.home.iterdir()) == ["key"]


@pytest.mark.parametrize("before", ["", "BACKSTAY_TIMEZONE=UTC", "BACKSTAY_TIMEZONE=UTC\n"])
def test_the_line_is_added_to_settings_whose_last_line_has_no_end(alone, before):
    """As the README says; it would become a part of that line, and backups would not be encrypted."""
    settings = alone.home / ".env"
    settings.write_text(before)
    with settings.open("ab") as out:
        subprocess.run(
            [PROGRAM, "key", "new", "--out", "key"],
            stdout=out,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=SECONDS,
            cwd=alone.home,
            env={"PATH": alone.path, "HOME": str(alone.home)},
        )
    *first, last = settings.read_text().splitlines()

    assert first == before.splitlines()
    assert last.startswith("BACKSTAY_ENCRYPT_TO=age1")


def test_a_file_that_exists_stays_as_it_is(alone):
    """It may be the only one that opens some backup."""
    alone.json("key", "new", "--out", "key")
    before = _secret(alone)

    assert alone.error("key", "new", "--out", "key", code=12)["code"] == "invalid-request"
    assert _secret(alone) == before
    assert alone.error("key", "new", "--out", "no/key", code=21)["code"] == "storage-unavailable"


def test_an_identity_is_printed_for_another_program(alone):
    """Nothing else is on stdout, so that `age` takes it as it is; --json says the same."""
    made = alone("key", "new")
    (alone.home / "key").write_text(made.out)
    (alone.home / "key").chmod(0o600)
    recipient = made.err.splitlines()[0].removeprefix("BACKSTAY_ENCRYPT_TO=")
    stored = subprocess.run(
        ["age", "-r", recipient], input=b"text", capture_output=True, check=True, timeout=SECONDS
    ).stdout
    plain = subprocess.run(
        ["age", "-d", "-i", alone.home / "key"], input=stored, capture_output=True, check=True,
        timeout=SECONDS,
    ).stdout  # fmt: skip
    document = alone.json("key", "new")

    assert plain == b"text"
    assert document["identity"].count("AGE-SECRET-KEY-1") == 1
    assert document["setting"] == f"BACKSTAY_ENCRYPT_TO={document['recipient']}"
    assert (document["file"], document["protected"]) == (None, False)
    assert alone.json("key", "new", "--out", "other")["identity"] is None


def test_an_identity_can_be_protected_by_a_passphrase(alone):
    """Read from stdin where nobody can be asked; an empty one is refused."""
    made = _typing(alone, b"hunter2\n", "key", "new", "--out", "key", "--passphrase-stdin")
    recipient = made.stdout.decode().strip().removeprefix("BACKSTAY_ENCRYPT_TO=")
    settings = {"ENCRYPT_TO": recipient, "IDENTITY_FILE": "key"}
    empty = _typing(alone, b"\n", "key", "new", "--out", "other", "--passphrase")

    assert (alone.home / "key").read_text().startswith("-----BEGIN AGE ENCRYPTED FILE-----")
    assert alone.json("key", "check", IDENTITY_PASSPHRASE="hunter2", **settings)["success"]
    for wrong in ({}, {"IDENTITY_PASSPHRASE": "hunter3"}):
        error = alone.error("key", "check", code=12, **settings, **wrong)
        assert "hunter" not in str(error)
    assert empty.returncode == 12
    assert not (alone.home / "other").exists()


def test_what_nothing_here_opens_is_named(alone):
    """One of two is enough; none is exit 11."""
    mine, safe = (alone.json("key", "new", "--out", name)["recipient"] for name in ("key", "safe"))
    old = alone.json("key", "new", "--out", "old")["recipient"]
    settings = {"ENCRYPT_TO": f"{mine} {safe}", "IDENTITY": f"{_secret(alone, 'old')}"}

    proven = alone.json("key", "check", IDENTITY_FILE="key", **settings)
    shown = alone("key", "check", IDENTITY_FILE="key", **settings)
    failed = alone("key", "check", **settings)

    assert proven["recipients"] == [
        {"recipient": mine, "opened_by": "BACKSTAY_IDENTITY_FILE"},
        {"recipient": safe, "opened_by": None},
    ]
    assert proven["others"] == [{"recipient": old, "variable": "BACKSTAY_IDENTITY"}]
    assert f"{safe}: nothing here opens it" in shown.out
    assert f"{old}: older backups only, by BACKSTAY_IDENTITY" in shown.out
    assert alone.error("key", "check", code=11, **settings)["code"] == "no-identity"
    assert (failed.code, failed.err.partition(":")[0]) == (11, "No identity opens it")
    assert alone.error("key", "check", code=12)["code"] == "invalid-request"


def test_keys_are_shown_without_a_secret(alone):
    """For whom, by whom, where from; nothing is read or run, and nothing is made."""
    recipient = alone.json("key", "new", "--out", "key")["recipient"]
    secret = _secret(alone)
    settings = {
        "ENCRYPT_TO": recipient,
        "IDENTITY": secret,
        "IDENTITY_FILE": "missing",
        "IDENTITY_PASSPHRASE": "hunter2hunter2",
        "IDENTITY_COMMAND": "/opt/vault-client hunter2hunter2",
    }
    shown = alone("--verbose", "key", "show", **settings)
    document = alone.json("key", "show", **settings)

    assert "Encrypts for" in shown.out
    assert "what /opt/vault-client prints" in shown.out
    assert document["recipients"] == [recipient]
    assert [place["variable"] for place in document["identities"]] == [
        "BACKSTAY_IDENTITY", "BACKSTAY_IDENTITY_FILE", "BACKSTAY_IDENTITY_COMMAND",
    ]  # fmt: skip
    assert (document["signers"], document["sheet"]) == ([], None)
    told = shown.out + shown.err + str(document)
    assert secret not in told
    assert "hunter2" not in told
    assert sorted(path.name for path in alone.home.iterdir()) == ["key"]
    assert "backups are not encrypted" in alone("key", "show").out


def test_a_sheet_is_printed_and_its_secrets_only_when_asked_for(alone):
    """With the signer that is made for it."""
    recipient = alone.json("key", "new", "--out", "key")["recipient"]
    settings = {"ENCRYPT_TO": recipient, "IDENTITY_FILE": "key"}
    sheet = alone("key", "show", "--sheet", **settings)
    signer = alone.json("key", "show", **settings)["signers"][0]
    secret = alone.json("key", "show", "--sheet", "--secret", **settings)

    assert (sheet.code, max(map(len, sheet.out.splitlines()))) == (0, 80)
    assert all(text in sheet.out for text in (recipient, signer["key"], signer["signer_id"]))
    assert (_secret(alone) in sheet.out, _secret(alone) in secret["sheet"]) == (False, True)
    assert signer["is_own"] is True
    other = Cli("", alone.home / "other")
    other.home.mkdir()
    known = other.json("key", "show", SIGNERS=signer["key"])["signers"]
    assert known == [{**signer, "is_own": False}]


def test_what_makes_no_sense_is_refused_without_being_told(alone):
    """A secret where a public key belongs, and one that was not asked for."""
    alone.json("key", "new", "--out", "key")
    secret = _secret(alone)

    for settings in ({"ENCRYPT_TO": secret}, {"ENCRYPT_TO": "age1x"}, {"SIGNERS": "hunter2"}):
        error = alone.error("key", "show", code=12, **settings)
        assert not any(value in str(error) for value in (secret, "hunter2"))
    assert alone.error("key", "show", "--secret", code=12)["code"] == "invalid-request"
    assert alone.error("key", "show", "--sheet", code=12)["code"] == "invalid-request"
    recipient = alone.json("key", "new", "--out", "new")["recipient"]
    sheet = ("key", "show", "--sheet", "--secret")
    assert alone.error(*sheet, code=11, ENCRYPT_TO=recipient)["code"] == "no-identity"
