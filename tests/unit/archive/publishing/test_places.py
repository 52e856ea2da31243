"""What lies far away is asked for as seldom as can be."""

from collections import Counter

from app.archive.catalogue.catalogue import Catalogue
from app.storage.local import LocalDirectory
from app.storage.remote.directory import StoreDirectory
from app.storage.remote.local import LocalStore
from tests.fixtures.archives import write_backup


class Counted(LocalStore):
    """A store that counts what it is asked."""

    def __init__(self, path):
        super().__init__(path)
        self.asked: Counter[str] = Counter()

    def stat(self, name):
        self.asked["stat"] += 1
        return super().stat(name)


async def test_a_backup_is_opened_with_three_questions_besides_its_bytes(tmp_path):
    """Which name its manifest has, how long that is, and how long the data is."""
    store = Counted(tmp_path)
    directory = StoreDirectory("far", "far", store, LocalDirectory(tmp_path / "locks"))
    directory.prepare()
    made = await write_backup(directory)
    before = store.asked["stat"]
    with Catalogue(directory).open(made.backup_id):
        asked = store.asked["stat"] - before

    # This kind of store looks by itself before it reads the manifest.
    assert asked == 3 + 1
