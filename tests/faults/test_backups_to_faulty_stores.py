"""
Whole backups to stores whose line fails: bytes that change on their way, kill -9 at any request, two at once.

Each is found by what lies in the store afterwards: nothing is listed that does not restore, and the next backup
leaves nothing there but backups.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from urllib.parse import unquote

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.copying import copy_archive
from app.domain.backups.check_notes import VerifyLevel
from app.errors import AppError, IntegrityError
from app.storage import layout
from app.storage.local import LocalDirectory
from app.storage.remote.directory import StoreDirectory
from tests.fixtures.archives import make_backup, write_backup
from tests.fixtures.cli import Cli
from tests.fixtures.dry_runs import drop
from tests.fixtures.http_proxy import HttpFault
from tests.fixtures.series import series
from tests.fixtures.servers import Sql
from tests.fixtures.store_programs import BUCKET, KEY, SECRET, s3_client


OF_HTTP = ("s3", "gcs", "azure")
STORE = "offsite"


@pytest.fixture(scope="module")
def proxies(store_servers):
    """A proxy before each server."""
    return {kind: store_servers.proxy(kind) for kind in OF_HTTP}


@pytest.fixture(params=OF_HTTP)
def kind(request):
    """Each kind of store that is spoken with by HTTP."""
    return request.param


@pytest.fixture
def middle(kind, proxies):
    """Its proxy, which passes everything on at first."""
    proxies[kind].reset()
    return proxies[kind]


@pytest.fixture
def directory(kind, middle, store_servers, tmp_path):
    """An empty store behind it, as a backup directory."""
    definition = store_servers.definition(kind, middle.url)
    locks = LocalDirectory(tmp_path / "locks")
    made = StoreDirectory("tried", definition.place, store_servers.open(definition), locks)
    made.prepare()
    yield made
    made.close()


def change_data(method):
    """Change the bytes of data files on their way: to the store (PUT), or from it (GET)."""
    fault = HttpFault.WRONG if method == "GET" else HttpFault.WRONG_SENT

    def plan(_number, found, path):
        is_data = unquote(path).partition("?")[0].endswith(".sql.gz")
        return fault if found == method and is_data else None

    return plan


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_backup_whose_bytes_change_on_their_way_is_none(directory, middle, method):
    """To the store or back from it: it is refused by the store, or found when it is read back; nothing stays."""
    middle.reset(change_data(method))
    with pytest.raises(AppError):
        asyncio.run(write_backup(directory))
    middle.reset()

    assert set(directory.names()) <= {layout.METADATA}
    assert Catalogue(directory).entries() == ()


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_copy_whose_bytes_change_on_their_way_is_none(directory, middle, method, tmp_path):
    """The backup that it is of is as it was."""
    catalogue, manifest = make_backup(tmp_path / "here")
    middle.reset(change_data(method))
    with catalogue.stored(manifest.backup_id) as archive, pytest.raises(AppError):
        copy_archive(archive, directory, stop=Event())
    middle.reset()

    assert set(directory.names()) <= {layout.METADATA}
    with catalogue.open(manifest.backup_id) as reader:
        assert asyncio.run(reader.verify(VerifyLevel.CONTENT)).rows


def test_what_comes_as_other_bytes_is_not_restored(directory, middle):
    """Each member is proven when it comes, and the file as a whole when it is verified."""
    manifest = asyncio.run(write_backup(directory))
    middle.reset(change_data("GET"))
    with Catalogue(directory).open(manifest.backup_id) as reader:
        with pytest.raises(IntegrityError):
            reader.read_now(manifest.members[0])
        with pytest.raises(IntegrityError):
            asyncio.run(reader.verify(VerifyLevel.HASHES))
    middle.reset()
    with Catalogue(directory).open(manifest.backup_id) as reader:
        assert asyncio.run(reader.verify(VerifyLevel.CONTENT)).rows


# -- the whole command ------------------------------------------------------------------------------


@pytest.fixture
def shop(cli, sql, database):
    """Some hundred kilobytes."""
    sql.script([
        "CREATE TABLE users (id INT PRIMARY KEY, name CHAR(32))",
        "INSERT INTO users SELECT seq, MD5(seq) FROM seq_1_to_20000",
    ])
    yield database
    with Sql(cli.url) as cleaner:
        drop(cleaner, database)


def define(cli, url, prefix):
    """Define a store of S3 for an installation."""
    lines = [f"[{STORE}]", 'kind = "s3"', f'bucket = "{BUCKET}"', f'prefix = "{prefix}"']
    lines += [f'endpoint = "{url}"', f'access_key = "{KEY}"', 'secret_env = "S3_SECRET"']
    (cli.home / "state").mkdir(parents=True)
    (cli.home / "state" / "stores.toml").write_text("\n".join(lines))
    (cli.home / ".env").write_text(f"S3_SECRET='{SECRET}'\n")


def listed(cli):
    """The backups that an installation sees in the store, each of them verified to its last row."""
    found = [
        backup["backup_id"] for backup in cli.json("backup", "list", "--store", STORE)["backups"]
    ]
    for backup_id in found:
        assert cli.json("backup", "verify", backup_id, "--store", STORE)["rows_count"] == 20_000
    return found


def left(store_servers, prefix, backups):
    """What lies in the store and is of none of these backups, unfinished uploads among it."""
    client = s3_client(store_servers.s3)
    below = f"{prefix}/"
    found = client.list_objects_v2(Bucket=BUCKET, Prefix=below).get("Contents", [])
    names = [entry["Key"].removeprefix(below) for entry in found]
    uploads = client.list_multipart_uploads(Bucket=BUCKET, Prefix=below).get("Uploads", [])
    ours = [name for name in names if any(backup_id in name for backup_id in backups)]
    assert len(ours) >= 2 * len(backups)
    others = [name for name in names if name not in ours and name != layout.METADATA]
    return others + [name for name in ours if name.endswith(layout.PARTIAL)] + uploads


@contextmanager
def killed_at(cli, middle, number, *command):
    """Begin a command, and kill it while its n-th request has no answer; tells whether it had so many."""
    middle.reset(lambda seen, *_: HttpFault.HELD if seen == number else None)
    with cli.start(*command) as process:
        while process.poll() is None and not middle.held.wait(0.02):
            pass
        process.kill()
        process.communicate()
    middle.reset()
    yield process.returncode != 0


@pytest.mark.long
def test_a_backup_that_is_killed_at_any_request_is_whole_or_not_listed(
    cli, shop, store_servers, proxies
):
    """The next one sweeps what it has left: claims, objects, and uploads that nobody completes."""
    prefix, middle = "killed", proxies["s3"]
    define(cli, middle.url, prefix)
    command = ("backup", "create", "--database", shop, "--store", STORE)
    kills = 0
    for number in range(series(7, 1), 60, series(5, 1)):
        with killed_at(cli, middle, number, *command) as was_killed:
            if not was_killed:
                break
        kills += 1
        if kills % series(9, 4) == 0:
            cli.json(*command)
            assert left(store_servers, prefix, listed(cli)) == []
        if kills == series(3, 60):
            break
    cli.json(*command)

    assert kills >= series(3, 12)
    assert left(store_servers, prefix, listed(cli)) == []


@pytest.mark.long
def test_two_services_that_write_to_one_store_at_once_lose_nothing(
    cli, server, shop, store_servers, tmp_path
):
    """Two installations, each sweeping what it takes for abandoned: all backups are there, and nothing else."""
    prefix = "together"
    both = [cli, Cli(server.url, tmp_path / "other")]
    for installation in both:
        define(installation, store_servers.s3, prefix)

    def make(installation):
        create = ("backup", "create", "--database", shop, "--store", STORE)
        return [installation.json(*create)["backup_id"] for _ in range(series(3, 15))]

    with ThreadPoolExecutor(2) as threads:
        made = [backup_id for ids in threads.map(make, both) for backup_id in ids]

    assert sorted(listed(cli)) == sorted(made)
    assert sorted(listed(both[1])) == sorted(made)
    assert left(store_servers, prefix, made) == []
