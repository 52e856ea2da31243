"""Uploads to an SSH server."""

from pathlib import Path

from app.storage.remote.store import LEAST_PART_BYTES


def test_a_large_file_is_sent_in_no_larger_parts_than_a_small_one(store_servers):
    """Buckets take so many of an object; a file has any number, and memory is two of them."""
    definition = store_servers.definition("sftp")
    store = store_servers.open(definition)
    try:
        with store.begin("x", 100 * LEAST_PART_BYTES) as upload:
            upload.write(bytes(2 * LEAST_PART_BYTES))

            (there,) = Path(definition.path).iterdir()
            assert there.stat().st_size >= LEAST_PART_BYTES
    finally:
        store.close()
