"""Definitions of stores: both ways to write them, and what is wrong with them told without showing it."""

import re

import pytest

from app.domain.backups.retention import RetentionPolicy
from app.errors import InvalidRequestError, StoreNotFoundError
from app.storage.remote.definitions import KINDS
from app.storage.remote.reading import find_definition, read_definitions
from tests.fixtures.pages import DOCS, rows, section


FILE = """
[offsite]
kind = "s3"
bucket = "backups"
prefix = "production/"
region = "eu-central-1"
access_key = "AKIAEXAMPLE"
secret_env = "OFFSITE_SECRET"
append_only = true
object_lock_days = 30

[google]
kind = "gcs"
bucket = "backups"
secret_file = "/etc/backstay/google.json"

[azure]
kind = "azure"
account = "example"
container = "backups"
secret_env = "AZURE_SECRET"

[vault]
kind = "sftp"
host = "vault.example.com"
user = "backup"
path = "/srv/backups"
host_key = "ssh-ed25519 AAAA"
key_file = "/etc/backstay/id_ed25519"

[disk]
kind = "local"
path = "/mnt/backups"
"""
ADDRESSES = """
offsite=s3://backups/production?region=eu-central-1&access_key=AKIAEXAMPLE&secret_env=OFFSITE_SECRET&append_only=true&object_lock_days=30
google=gcs://backups?secret_file=/etc/backstay/google.json
azure=azure://example/backups?secret_env=AZURE_SECRET
vault=sftp://backup@vault.example.com/srv/backups?host_key=ssh-ed25519%20AAAA&key_file=/etc/backstay/id_ed25519
disk=local:///mnt/backups
"""


def read(directory, text="", addresses=""):
    """Read what a file and the variable say."""
    if text:
        (directory / "stores.toml").write_text(text)
    return read_definitions(directory, addresses)


def test_a_table_and_an_address_say_the_same(tmp_path):
    """Whichever is easier where the program runs; listed by name."""
    by_file = read(tmp_path, FILE)
    by_address = read(tmp_path / "other", addresses=ADDRESSES)

    assert by_file == by_address
    assert list(by_file) == ["azure", "disk", "google", "offsite", "vault"]
    assert {definition.kind for definition in by_file.values()} == set(KINDS)
    assert [definition.place for definition in by_file.values()] == [
        "azure://example/backups",
        "/mnt/backups",
        "gcs://backups",
        "s3://backups/production",
        "sftp://backup@vault.example.com/srv/backups",
    ]


def test_rules_of_retention_are_written_in_a_table_in_a_line_or_in_an_address(tmp_path):
    """The words are those of a schedule's."""
    policy = RetentionPolicy(daily=7, monthly=12, max_days=400.5)
    texts = (
        "retention = { daily = 7, monthly = 12, max_days = 400.5 }",
        'retention = "daily=7 monthly=12, max_days=400.5"',
    )
    for text in texts:
        assert read(tmp_path, f"{S3}{text}")["x"].retention == policy
    address = "x=s3://b?retention=daily=7,monthly=12,max_days=400.5"
    assert read(tmp_path / "other", addresses=address)["x"].retention == policy
    assert read(tmp_path, S3)["x"].retention is None


def test_without_a_definition_there_are_no_stores(tmp_path):
    """Not even where there is no directory yet."""
    assert read(tmp_path / "nothing") == {}


S3 = '[x]\nkind = "s3"\nbucket = "b"\n'
SFTP = '[x]\nkind = "sftp"\nhost = "h"\nuser = "u"\npath = "/p"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[x", "stores.toml: it is no TOML"),
        ('kind = "s3"', "stores.toml: kind stands in no table"),
        ('[x]\nbucket = "b"', "store x: kind is none of local, s3, gcs, azure, sftp"),
        ('[x]\nkind = "ftp"', "store x: kind is none of"),
        ('[X]\nkind = "s3"', "'X' is no name of a store"),
        ('[x]\nkind = "s3"', "store x: bucket: field required"),
        (f'{S3}buckett = "b"', "store x: buckett is no key of this kind; did you mean bucket?"),
        (f'{S3}secret_key = "hush"', "store x: secret_key is no key of this kind; did you mean"),
        (f'{S3}password = "hush"', "store x: password is no key of this kind"),
        (f"{S3}object_lock_days = -1", "store x: object_lock_days: "),
        (f'{S3}append_only = "hush"', "store x: append_only: "),
        (f'{S3}retention = "dayly=7"', "store x: retention: rules and numbers, such as daily=7"),
        (f'{S3}retention = "daily"', "store x: retention."),
        (f"{S3}retention = {{ daily = -1 }}", "store x: retention: rules and numbers"),
        (f"{S3}retention = {{}}", "store x: retention: rules and numbers"),
        (f"{S3}append_only = true\nretention.daily = 7", "store x: retention and append_only"),
        (f'{S3}endpoint = "hush"', "store x: endpoint: is no address"),
        (f'{S3}endpoint = "http://u:hush@h"', "store x: endpoint: holds more than"),
        (f'{S3}prefix = "../hush"', "store x: prefix: has characters"),
        (f'{S3}access_key = "a"', "store x: access_key and its secret"),
        (f'{S3}secret_env = "not a name"', "store x: secret_env: "),
        (f'{S3}access_key = "a"\nsecret_env = "A"\nsecret_file = "/b"', "store x: secret_env and"),
        ('[x]\nkind = "local"\npath = "here"', "store x: path: is no absolute path"),
        (f'{SFTP}key_file = "/k"', "store x: host_key: field required"),
        (f'{SFTP}key_file = "/k"\nhost_key = []', "store x: host_key: is empty"),
        (f'{SFTP}host_key = "k"', "store x: key_file, or a password"),
    ],
)
def test_what_makes_no_sense_is_told_by_store_and_key(tmp_path, text, message):
    """And never by what was written there."""
    with pytest.raises(InvalidRequestError) as caught:
        read(tmp_path, text)

    assert message in str(caught.value)
    assert caught.value.hint.endswith(".")
    told = f"{caught.value} {caught.value.hint} {caught.value.__cause__} {caught.value.__context__}"
    assert "hush" not in told or caught.value.__suppress_context__
    assert "hush" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("addresses", "message"),
    [
        ("s3://backups", "BACKSTAY_STORES: NAME=KIND://"),
        ("x=backups", "BACKSTAY_STORES: NAME=KIND://"),
        ("x=ftp://backups", "store x: kind is none of"),
        ("x=s3://u:hush@backups", "store x: a password stands in its address"),
        ("x=sftp://h:port/p", "store x: it is no address"),
        ("x=s3://a y=s3://b x=s3://c", "store x: it is defined twice"),
        ("x=s3://a?nothing=1", "store x: nothing is no key"),
    ],
)
def test_an_address_that_makes_no_sense_is_told_by_its_name(tmp_path, addresses, message):
    """A password in it too, without showing it."""
    with pytest.raises(InvalidRequestError, match=re.escape(message)) as caught:
        read(tmp_path, addresses=addresses)
    assert "hush" not in f"{caught.value} {caught.value.hint}"


def test_a_name_is_of_one_store(tmp_path):
    """Also where one is in the file and one in the variable."""
    with pytest.raises(InvalidRequestError, match="store disk: it is defined twice"):
        read(tmp_path, FILE, "disk=local:///mnt/other")


def test_a_file_that_is_no_text_is_told(tmp_path):
    """It is read as UTF-8."""
    (tmp_path / "stores.toml").write_bytes(b"[\xff]")
    with pytest.raises(InvalidRequestError, match=r"stores\.toml: it is not text"):
        read(tmp_path)


def test_a_store_that_is_not_there_is_told_with_the_nearest(tmp_path):
    """A typing error is the usual reason."""
    definitions = read(tmp_path, FILE)
    with pytest.raises(StoreNotFoundError) as caught:
        find_definition(definitions, "ofsite")
    assert caught.value.hint == "Did you mean 'offsite'?"
    with pytest.raises(StoreNotFoundError, match="no store 'zzz'") as caught:
        find_definition(definitions, "zzz")
    assert "backstay store list" in caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_described(kind):
    """docs/stores.md: a table for each kind, with defaults, and an example that can be read."""
    text = (DOCS / "stores.md").read_text()
    table = {row[0]: row[1] for row in rows(section(text, f"`{kind}`"))[2:]}
    fields = KINDS[kind].model_fields
    shared = {row[0]: row[1] for row in rows(section(text, "Keys of every kind"))[2:]}

    assert {**shared, **table}.keys() == fields.keys()
    for name, default in {**shared, **table}.items():
        field = fields[name]
        known = "" if field.is_required() or field.default in {"", None} else str(field.default)
        assert default.strip('"') == ("required" if field.is_required() else known.lower())


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_every_kind_can_be_read(tmp_path, kind):
    """As it stands on the page, as a table and as an address."""
    text = section((DOCS / "stores.md").read_text(), f"`{kind}`")
    table = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    address = re.search(r"```sh\nBACKSTAY_STORES=\"(.*?)\"\n```", text, re.DOTALL)
    assert table
    assert address

    assert read(tmp_path, table[1]) == read(tmp_path / "other", addresses=address[1])
