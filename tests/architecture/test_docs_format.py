"""docs/format.md is complete, and what it tells people to type works."""

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest

from app.domain.backups import manifest as domain
from app.domain.backups.manifest import Codec, MemberKind, ObjectKind, StatementKind
from app.domain.backups.seal import decode
from app.storage.layout import REPLACED, SUFFIXES
from tests.fixtures.archives import make_backup


TEXT = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
CLASSES = [
    cls
    for cls in vars(domain).values()
    if isinstance(cls, type) and dataclasses.is_dataclass(cls) and cls.__module__ == domain.__name__
]


def keys_of(heading: str) -> list[str]:
    """List the keys in the table under a heading."""
    section = re.search(rf"^### {heading}\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert section is not None, heading
    table = section[1].partition("| statement kind |")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_field_of_the_manifest_is_specified(cls):
    """In the order of the class, none forgotten and none invented."""
    assert keys_of(cls.__name__) == [field.name for field in dataclasses.fields(cls)]


@pytest.mark.parametrize("value", [*MemberKind, *StatementKind, *ObjectKind, *Codec])
def test_every_value_of_an_enumeration_is_specified(value):
    """A reader meets none that it was not told of."""
    assert f"`{value.value}`" in TEXT


def test_every_name_of_a_file_is_specified():
    """Extensions and temporary names."""
    for suffix in SUFFIXES.values():
        assert f"`{suffix}`" in TEXT
    for name in REPLACED:
        assert f"`{name}.partial`" in TEXT


def shell(script: str, path: Path, file: str) -> str:
    """Run lines of the document in a directory."""
    command = ["sh", "-c", f'F="{file}"; M="$F.manifest.json"; {script}']
    return subprocess.run(command, check=True, capture_output=True, cwd=path, text=True).stdout


def test_the_manifest_can_be_checked_by_hand(tmp_path):
    """The seal is as long as the document says."""
    _, manifest = make_backup(tmp_path)

    digest = shell('head -c -88 "$M" | sha256sum', tmp_path, manifest.file).split()[0]

    assert f'"manifest_sha256":"{digest}"' in (
        tmp_path / f"{manifest.file}.manifest.json"
    ).read_text(encoding="utf-8")


def test_a_member_can_be_read_by_hand(tmp_path):
    """`dd` and `gunzip` suffice."""
    _, manifest = make_backup(tmp_path)
    member = next(member for member in manifest.members if member.kind is MemberKind.DATA)
    pick = f"skip={member.offset} count={member.size}"
    line = f'dd if="$F" iflag=skip_bytes,count_bytes {pick} status=none'

    assert shell(f"{line} | sha256sum", tmp_path, manifest.file).split()[0] == member.sha256
    cut = f"tail -c +{member.within + 1} | head -c {member.raw_size}"
    text = shell(f"{line} | gunzip | {cut}", tmp_path, manifest.file)
    assert text.startswith("INSERT INTO")
    assert len(text.encode()) == member.raw_size


def test_the_footer_can_be_read_by_hand(tmp_path):
    """The lines make the JSON of the manifest."""
    _, manifest = make_backup(tmp_path)
    offset = manifest.members[-1].offset
    text = shell(
        f'dd if="$F" iflag=skip_bytes skip={offset} status=none | gunzip'
        " | sed -n 's/^-- |//p' | tr -d '\\n'",
        tmp_path,
        manifest.file,
    )

    inside = decode(text.encode(), source="footer")
    assert inside.members == manifest.members[:-1]
    assert inside.size == offset
