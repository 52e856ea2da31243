"""
What the audit notices, and what it does not: each row of the table in docs/security.md.

Whoever tampers can write the database; in some rows the state directory, in the last ones its key, too.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace

import pytest

from app.domain.access.audit import GENESIS, AuditEntry, AuditHead, AuditKey, AuditSeals, seal
from tests.fixtures.pages import DOCS, rows, section
from tests.fixtures.tampered_audit import DAY, EVENT, NOON, TamperedAudit, open_audit


OTHERS = AuditSeals([AuditKey(b"a key of somebody else, long enough")])
ELSEWHERE = "only by a head kept elsewhere"


async def changed_field(audit: TamperedAudit) -> None:
    """Who did it."""
    audit.tamper("UPDATE audit SET actor = 'bob' WHERE number = 5")


async def changed_values(audit: TamperedAudit) -> None:
    """What was changed."""
    audit.tamper("UPDATE audit SET changes = '{}' WHERE number = 5")


async def changed_old(audit: TamperedAudit) -> None:
    """One without a key, with its digest and that of the next one."""
    entries = await audit.entries()
    first = seal(1, replace(entries[0].event, actor="bob"), GENESIS)
    second = seal(2, entries[1].event, first.digest)
    await audit.replace_all([first, second, *entries[2:]])


async def removed_middle(audit: TamperedAudit) -> None:
    """One of them."""
    audit.tamper("DELETE FROM audit WHERE number = 5")


async def removed_and_renumbered(audit: TamperedAudit) -> None:
    """So that there is no gap."""
    audit.tamper(
        "DELETE FROM audit WHERE number = 5", "UPDATE audit SET number = 5 WHERE number = 6"
    )


async def swapped(audit: TamperedAudit) -> None:
    """Two of them."""
    audit.tamper(
        "UPDATE audit SET number = 99 WHERE number = 5",
        "UPDATE audit SET number = 5 WHERE number = 6",
        "UPDATE audit SET number = 6 WHERE number = 99",
    )


async def inserted_unkeyed(audit: TamperedAudit) -> None:
    """At the end, as older versions did."""
    last = (await audit.entries())[-1]
    audit.insert(seal(last.number + 1, EVENT, last.digest))


async def inserted_with_key(audit: TamperedAudit) -> None:
    """At the end, with a key of one's own."""
    last = (await audit.entries())[-1]
    audit.insert(OTHERS.link(last.number + 1, EVENT, last.digest))


async def inserted_copy(audit: TamperedAudit) -> None:
    """At the end, one that was there before."""
    entries = await audit.entries()
    audit.insert(replace(entries[3], number=entries[-1].number + 1))


async def cut_end(audit: TamperedAudit) -> None:
    """The newest three."""
    audit.tamper("DELETE FROM audit WHERE number > 5")


async def cut_end_without_head(audit: TamperedAudit) -> None:
    """And the file that tells of them."""
    await cut_end(audit)
    audit.head.unlink()


async def cut_end_forged_head(audit: TamperedAudit) -> None:
    """And a file that tells of others."""
    await cut_end(audit)
    last = (await audit.entries())[-1]
    forged = OTHERS.head(AuditHead(last.number, last.digest))
    audit.head.write_text(json.dumps(asdict(forged)))


async def cut_end_unsealed_head(audit: TamperedAudit) -> None:
    """And a file as older versions wrote it."""
    await cut_end(audit)
    last = (await audit.entries())[-1]
    audit.head.write_text(json.dumps({"number": last.number, "digest": last.digest}))


async def _written_more(audit: TamperedAudit) -> AuditHead:
    """Write more, and keep the head elsewhere."""
    await audit.write(3)
    proof = await audit.verify()
    return AuditHead(proof.last, proof.digest)


async def cut_end_older_head(audit: TamperedAudit) -> AuditHead:
    """And the file as it was then."""
    older = audit.head.read_bytes()
    kept = await _written_more(audit)
    audit.tamper("DELETE FROM audit WHERE number > 8")
    audit.head.write_bytes(older)
    return kept


def _chain(link: Callable[[int, str], AuditEntry], count: int) -> list[AuditEntry]:
    found: list[AuditEntry] = []
    for number in range(1, count + 1):
        found.append(link(number, found[-1].digest if found else GENESIS))
    return found


async def replaced_unkeyed(audit: TamperedAudit) -> None:
    """By as many without a key."""
    await audit.replace_all(_chain(lambda number, digest: seal(number, EVENT, digest), 8))


async def replaced_unkeyed_without_head(audit: TamperedAudit) -> None:
    """And the file that tells of them."""
    await replaced_unkeyed(audit)
    audit.head.unlink()


async def replaced_other_key(audit: TamperedAudit) -> None:
    """By as many with a key of one's own."""
    await audit.replace_all(_chain(lambda number, digest: OTHERS.link(number, EVENT, digest), 8))


async def missing_key(audit: TamperedAudit) -> None:
    """The file is gone."""
    audit.key.unlink()


async def other_key(audit: TamperedAudit) -> None:
    """Another one is in its place."""
    audit.key.write_text("f" * 64)


async def older_database(audit: TamperedAudit) -> None:
    """A copy of some time ago."""
    copy = await audit.copy(state=False)
    await audit.write(3)
    await audit.put_back(copy)


async def removed_oldest(audit: TamperedAudit) -> None:
    """As if by age, but without a checkpoint."""
    audit.tamper("DELETE FROM audit WHERE number <= 4")


async def forged_cut(audit: TamperedAudit) -> None:
    """With a checkpoint of one's own."""
    digest = (await audit.entries())[3].digest
    audit.tamper(
        "DELETE FROM audit WHERE number <= 4",
        "INSERT INTO audit_cuts (number, digest, at, kind, key_id, seal) VALUES"
        f" (4, '{digest}', '2026-02-01 12:00:00.000000', 'removed', '{OTHERS.key_id}', '{'0' * 64}')",
    )


async def _prune(audit: TamperedAudit) -> None:
    await audit.write(3, at=NOON + 11 * DAY)
    await audit.another().prune(NOON + 11 * DAY, NOON + 11 * DAY)
    assert (await audit.verify()).first == 9


async def moved_cut(audit: TamperedAudit) -> None:
    """A good one, taken further."""
    await _prune(audit)
    digest = (await audit.entries())[1].digest
    audit.tamper(
        "DELETE FROM audit WHERE number <= 10",
        f"UPDATE audit_cuts SET number = 10, digest = '{digest}'",
    )


async def removed_cut(audit: TamperedAudit) -> None:
    """As if nothing had been removed."""
    await _prune(audit)
    audit.tamper("DELETE FROM audit_cuts")


async def older_copy_of_all(audit: TamperedAudit) -> AuditHead:
    """Of the database and of the state directory."""
    copy = await audit.copy(state=True)
    kept = await _written_more(audit)
    await audit.put_back(copy)
    return kept


async def written_anew_with_key(audit: TamperedAudit) -> AuditHead:
    """By whoever has read the key."""
    proof = await audit.verify()
    seals = AuditSeals([AuditKey(audit.key.read_bytes().strip())])
    forged = _chain(
        lambda number, digest: seals.link(number, replace(EVENT, actor="bob"), digest), 8
    )
    await audit.replace_all(forged)
    head = seals.head(AuditHead(8, forged[-1].digest))
    audit.head.write_text(json.dumps(asdict(head)))
    return AuditHead(proof.last, proof.digest)


@dataclass(frozen=True)
class Tampering:
    """
    One row: how it is told, what was done, and what `verify` says.

    An act that is not noticed returns the head that was kept elsewhere before it.
    """

    told: str
    act: Callable[[TamperedAudit], Awaitable[AuditHead | None]]
    message: str = ""


TAMPERINGS = (
    Tampering("A field of an entry is changed", changed_field, "entry 5 was changed"),
    Tampering("Old and new value of a change are changed", changed_values, "entry 5 was changed"),
    Tampering(
        "Entries of a version without keys are written anew", changed_old, "entry 3 was changed"
    ),
    Tampering("An entry is removed from the middle", removed_middle, "entry 5 is missing"),
    Tampering(
        "It is removed, and the next takes its number",
        removed_and_renumbered,
        "entry 5 was changed",
    ),
    Tampering("Two entries change places", swapped, "entry 5 was changed"),
    Tampering("An entry without a key is added", inserted_unkeyed, "entry 9 has no key"),
    Tampering(
        "An entry with another key is added",
        inserted_with_key,
        f"entry 9: its key {OTHERS.key_id} is not here",
    ),
    Tampering("A copy of an entry is added", inserted_copy, "entry 9 was changed"),
    Tampering(
        "The end of the table is cut off", cut_end, "everything after entry 5 is missing, up to 8"
    ),
    Tampering(
        "The end is cut off, and `head.json` removed",
        cut_end_without_head,
        "head.json is missing: nobody can tell whether entries after 5 were cut off",
    ),
    Tampering(
        "The end is cut off, and `head.json` forged with another key",
        cut_end_forged_head,
        "head.json is not sealed with a key that is here",
    ),
    Tampering(
        "The end is cut off, and `head.json` written without a seal",
        cut_end_unsealed_head,
        "head.json is not sealed",
    ),
    Tampering(
        "The whole table is replaced, without a key",
        replaced_unkeyed,
        "entry 8 was written anew",
    ),
    Tampering(
        "The whole table is replaced without a key, and `head.json` removed",
        replaced_unkeyed_without_head,
        "head.json is missing: nobody can tell whether entries after 8 were cut off",
    ),
    Tampering(
        "The whole table is replaced, with another key",
        replaced_other_key,
        f"entry 1: its key {OTHERS.key_id} is not here",
    ),
    Tampering("`audit.key` is missing", missing_key, "entry 3: its key {key} is not here"),
    Tampering("`audit.key` is another one", other_key, "entry 3: its key {key} is not here"),
    Tampering(
        "An older copy of the database is put back",
        older_database,
        "everything after entry 8 is missing, up to 11",
    ),
    Tampering("The oldest entries are removed", removed_oldest, "entry 1 is missing"),
    Tampering(
        "The oldest entries are removed, with a forged checkpoint",
        forged_cut,
        "the checkpoint at entry 4 is not sealed with a key that is here",
    ),
    Tampering(
        "The checkpoint of a prune is moved on",
        moved_cut,
        "the checkpoint at entry 10 is not sealed with a key that is here",
    ),
    Tampering(
        "The checkpoint of a prune is removed",
        removed_cut,
        "the checkpoint at entry 8 is missing",
    ),
    Tampering("The end is cut off, and an older `head.json` put back", cut_end_older_head),
    Tampering("An older copy of database and state directory is put back", older_copy_of_all),
    Tampering("All is written anew by somebody who has the key", written_anew_with_key),
)


@pytest.fixture
async def audit(tmp_path):
    """Two entries of an older version, then six with a key."""
    home = tmp_path / "state"
    home.mkdir()
    made = await open_audit(home)
    made.write_old(2)
    await made.write(6)
    assert (await made.verify()).entries == 8
    yield made
    await made.database.close()


@pytest.mark.parametrize("row", TAMPERINGS, ids=lambda row: row.act.__name__)
async def test_a_tampering_is_noticed_as_the_document_says(audit, row):
    """With the message; or only by a head that was kept elsewhere, before it was done."""
    key_id = AuditSeals([AuditKey(audit.key.read_bytes().strip())]).key_id
    kept = await row.act(audit)

    if kept is None:
        assert await audit.broken() == row.message.format(key=key_id)
    else:
        assert (await audit.verify()).entries
        assert await audit.broken(kept)


def test_the_table_of_the_document_is_this_one():
    """Every row, in this order, with what is said."""
    table = rows(section((DOCS / "security.md").read_text(), "What the audit notices"))[2:]

    assert table == [
        [
            row.told.replace("`", ""),
            "yes" if row.message else ELSEWHERE,
            row.message.replace(OTHERS.key_id, "…").replace("{key}", "…") or "-",
        ]
        for row in TAMPERINGS
    ]
