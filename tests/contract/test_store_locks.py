"""Object lock: S3 keeps an object until a time, and says so to whoever deletes it."""

import time
from datetime import timedelta

import pytest

from app.errors import AlreadyThereError, ObjectLockedError, ObjectNotFoundError, StorageError
from tests.fixtures.series import series
from tests.fixtures.store_programs import LOCKED_BUCKET, s3_client
from tests.fixtures.stores import drawn_bytes


pytestmark = pytest.mark.long
PART = 5 << 20
DAY = timedelta(days=1)
MOMENT = timedelta(seconds=2)


@pytest.fixture(params=series(["governance"], ["governance", "compliance"]))
def locked(store_servers, request):
    """A store with object lock, in each of its modes."""
    changes = {
        "bucket": LOCKED_BUCKET,
        "object_lock_days": 30,
        "object_lock_mode": request.param,
    }
    opened = store_servers.open(store_servers.definition("s3", **changes))
    yield opened
    opened.close()


def test_what_is_kept_is_not_deleted_before_its_time(locked):
    """The refusal is told as that; afterwards it goes."""
    locked.put("kept", b"x", create=True, retain_until=locked.now() + DAY)
    locked.put("over", b"x", create=True, retain_until=locked.now() + MOMENT)
    with pytest.raises(ObjectLockedError, match="until 20"):
        locked.delete("kept")
    assert locked.read("kept", 0, 1) == b"x"
    time.sleep(MOMENT.total_seconds() + 1)

    assert locked.delete("over") is True
    assert locked.stat("over") is None


def test_retention_is_extended_and_never_shortened(locked):
    """An earlier time changes nothing, and is no error."""
    now = locked.now()
    locked.put("extended", b"x", retain_until=now + MOMENT)
    locked.retain("extended", now + DAY)
    locked.retain("extended", now + timedelta(seconds=1))
    time.sleep(MOMENT.total_seconds() + 1)
    with pytest.raises(ObjectLockedError):
        locked.delete("extended")
    with pytest.raises(ObjectNotFoundError):
        locked.retain("nothing", now + DAY)


def test_an_upload_is_kept_as_well(locked):
    """From when it is complete."""
    data = drawn_bytes(1, PART + 10)
    with locked.begin("large", PART, retain_until=locked.now() + DAY) as upload:
        upload.write(data)
        upload.complete()

    assert locked.stat("large").size == len(data)
    with pytest.raises(ObjectLockedError):
        locked.delete("large")


def test_what_shall_be_new_and_kept_overwrites_nothing(locked):
    """Both in one request."""
    locked.put("new", b"first", create=True, retain_until=locked.now() + DAY)
    with pytest.raises(AlreadyThereError):
        locked.put("new", b"second", create=True, retain_until=locked.now() + DAY)

    assert locked.read("new", 0, 5) == b"first"


def test_a_bucket_without_object_lock_is_told_by_that(store_servers):
    """It can be had only when a bucket is made."""
    plain = store_servers.open(store_servers.definition("s3", object_lock_days=1))
    with pytest.raises(StorageError) as caught:
        plain.put("kept", b"x", create=True, retain_until=plain.now() + DAY)
    assert "object lock on for the bucket" in caught.value.hint
    assert plain.stat("kept") is None
    plain.close()


def test_a_legal_hold_is_told_as_well(store_servers, locked):
    """It has no end; somebody lifts it."""
    definition = store_servers.definition("s3", bucket=LOCKED_BUCKET, object_lock_days=1)
    client = s3_client(store_servers.s3)
    held = store_servers.open(definition)
    held.put("held", b"x")
    where = {"Bucket": LOCKED_BUCKET, "Key": f"{definition.prefix}/held"}
    client.put_object_legal_hold(**where, LegalHold={"Status": "ON"})
    with pytest.raises(ObjectLockedError, match="legal hold"):
        held.delete("held")
    client.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})

    assert held.delete("held") is True
    held.close()
