"""
The doctor's checks of the backup directory, and of who else may read or write what is the owner's alone.

All calls block.
"""

import os
import shlex
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.archive.catalogue.catalogue import Catalogue
from app.domain.monitoring import CheckState, DoctorCheck, failed
from app.domain.places.sizes import size
from app.errors import AppError, StorageDeniedError, StorageFullError, StorageUnavailableError
from app.storage.failures import translated
from app.storage.layout import PARTIAL, REBUILD
from app.storage.local import LocalDirectory
from app.storage.schedules import ScheduleFile


# No codec makes typical SQL smaller than a tenth; two backups should fit.
_LEAST_FREE_SHARE: Final = 0.1
_GOOD_FREE_SHARE: Final = 1.0
_SHOWN: Final = 5
_GROUP_OR_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
# Mounted secrets and files of root are often read by way of a group: 0640 is as good as 0600.
_WRITERS_OR_OTHERS: Final = stat.S_IWGRP | stat.S_IRWXO
_WRITERS: Final = stat.S_IWGRP | stat.S_IWOTH
# What SQLite lays beside its file, with the newest rows in it.
_BESIDE_CONTROL: Final = ("", "-wal", "-shm", "-journal")
_FILES: Final = "private files"


@dataclass(frozen=True, slots=True)
class PrivatePlaces:
    """
    What is to be the owner's alone, besides the backup directory.

    Attributes:
        state: The state directory.
        control: File of the control database; None = it is on a server.
        named: Files that people made, with secrets: `.env`, and those that settings name.
        public: Files that people made, and where no secret stands.
    """

    state: Path
    control: Path | None = None
    named: Sequence[Path] = ()
    public: Sequence[Path] = ()


def directory_checks(catalogue: Catalogue, data_bytes: int) -> list[DoctorCheck]:
    """
    Examine the backup directory.

    Args:
        catalogue: Of the directory.
        data_bytes: On the server; the next backups need room.

    Returns:
        Every finding; nothing raises an error of this program.
    """
    disk = catalogue.disk
    try:
        if disk is None:
            return [_leftovers_check(catalogue), *_survey_checks(catalogue)]
        if not disk.is_there():
            return [_absent(disk.path)]
        return [
            _access_check(disk.path),
            _mode_check(disk.path),
            _space_check(disk, data_bytes),
            _leftovers_check(catalogue),
            *_survey_checks(catalogue),
            _schedules_check(disk),
        ]
    except AppError as exc:
        return [failed("backup directory", exc)]


def state_checks(state: Path) -> list[DoctorCheck]:
    """Examine the state directory, without which no run begins; nothing is said of one that is to be made."""
    try:
        with translated(state.name):
            if not state.is_dir():
                return []
            check = _access_check(state, "state directory")
    except AppError as exc:
        check = failed("state directory", exc)
    return [check] if check.error else []


def _schedules_check(disk: LocalDirectory) -> DoctorCheck:
    try:
        schedules = ScheduleFile(disk).read()
    except AppError as exc:
        return failed("schedules", exc)
    names = ", ".join(schedule.name for schedule in schedules if schedule.enabled)
    return DoctorCheck("schedules", CheckState.OK, f"enabled: {names}" if names else "none enabled")


def _absent(path: Path) -> DoctorCheck:
    """Tell whether the first backup could make the directory."""
    parent = next(folder for folder in path.parents if folder.exists())
    if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
        detail = f"{path} is not there; the first backup makes it"
        remedy = "If it should be there, check whether its file system is mounted."
        return DoctorCheck("backup directory", CheckState.WARN, detail, remedy)
    if parent.is_dir():
        denied = StorageDeniedError(
            f"{path} cannot be made", hint=f"Make it, or give this user write access to {parent}."
        )
        return failed("backup directory", denied)
    return failed("backup directory", StorageUnavailableError(f"{parent} is not a directory"))


def _access_check(path: Path, name: str = "backup directory") -> DoctorCheck:
    if not path.is_dir():
        return failed(name, StorageUnavailableError(f"{path} is not a directory"))
    if os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return DoctorCheck(name, CheckState.OK, f"{path} is writable")
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        hint = "Its file system is mounted read-only; mount it writable or choose another one."
    else:
        hint = "Give the user that runs this program read and write access to it."
    return failed(name, StorageDeniedError(f"{path}: no access", hint=hint))


def _mode_check(path: Path) -> DoctorCheck:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _GROUP_OR_OTHERS:
        detail = f"mode {mode:04o}: others may {_verbs(mode)} the directory"
        return DoctorCheck("directory mode", CheckState.WARN, detail, _chmod("700", path))
    return DoctorCheck("directory mode", CheckState.OK, f"mode {mode:04o}")


def mode_checks(places: PrivatePlaces) -> list[DoctorCheck]:
    """
    Look who may read or write what is the owner's alone; a key that others can read is no key.

    Returns:
        A warning for each that others can, with the command that ends it; else one finding, and none where
        nothing is there yet. What cannot be looked at is told by whoever needs it.
    """
    found = [*_looked_at(places)]
    open_to_others = [
        DoctorCheck(
            _FILES,
            CheckState.WARN,
            f"{path} has mode {mode:04o}: others may {_verbs(mode & bits)} it",
            _chmod(command, path),
        )
        for path, mode, bits, command in found
        if mode & bits
    ]
    if found and not open_to_others:
        return [DoctorCheck(_FILES, CheckState.OK, f"{len(found)} looked at, none open to others")]
    return open_to_others


def _looked_at(places: PrivatePlaces) -> Iterator[tuple[Path, int, int, str]]:
    """Yield each path, its mode, the bits that it may not have, and what `chmod` makes of it."""
    inside = _entries(places.state)
    beside = [Path(f"{places.control}{end}") for end in _BESIDE_CONTROL if places.control]
    rules = {
        **dict.fromkeys((places.state, *inside, *beside), (_GROUP_OR_OTHERS, "")),
        **dict.fromkeys(places.named, (_WRITERS_OR_OTHERS, "g-w,o=")),
        **dict.fromkeys(places.public, (_WRITERS, "go-w")),
    }
    for path, (bits, command) in rules.items():
        if mode := _mode(path):
            usual = "700" if stat.S_ISDIR(mode) else "600"
            yield path, stat.S_IMODE(mode), bits, command or usual


def _entries(folder: Path) -> list[Path]:
    """List what lies in it, not further down: its own mode keeps others from there."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _mode(path: Path) -> int:
    """Return the mode of a file or a directory; 0 = there is none, or nobody can tell."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return 0
    return mode if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else 0


def _verbs(mode: int) -> str:
    verbs = {
        "read": stat.S_IRGRP | stat.S_IROTH,
        "write": stat.S_IWGRP | stat.S_IWOTH,
        "enter": stat.S_IXGRP | stat.S_IXOTH,
    }
    told = [verb for verb, bits in verbs.items() if mode & bits]
    return " and ".join([", ".join(told[:-1]), told[-1]]) if told[1:] else told[0]


def _chmod(mode: str, path: Path) -> str:
    return f"chmod {mode} {shlex.quote(str(path))}"


def _space_check(disk: LocalDirectory, data_bytes: int) -> DoctorCheck:
    free = disk.free_bytes()
    detail = f"{size(free)} free, about {size(data_bytes)} of data on the server"
    if free < data_bytes * _LEAST_FREE_SHARE:
        return failed(
            "disk", StorageFullError(detail, hint="Free some space, or use a larger disk.")
        )
    if free < data_bytes * _GOOD_FREE_SHARE:
        return DoctorCheck(
            "disk", CheckState.WARN, detail, "Free some space, or use a larger disk."
        )
    return DoctorCheck("disk", CheckState.OK, detail)


def _leftovers_check(catalogue: Catalogue) -> DoctorCheck:
    found = [name for name in catalogue.directory.names() if name.endswith((PARTIAL, REBUILD))]
    if not found:
        return DoctorCheck("leftovers", CheckState.OK, "none")
    return DoctorCheck(
        "leftovers",
        CheckState.WARN,
        f"{len(found)} unfinished: {', '.join(sorted(found)[:_SHOWN])}",
        "Nothing to do: the next backup removes what no run holds any more.",
    )


def _survey_checks(catalogue: Catalogue) -> list[DoctorCheck]:
    survey = catalogue.read().survey
    checks = [DoctorCheck("backups", CheckState.OK, f"{len(survey.entries)} listed")]
    checks += [failed("damaged backup", problem.error) for problem in survey.problems]
    checks += [
        DoctorCheck(
            "unknown backup", CheckState.WARN, f"{found.file}: {found.error}", found.error.hint
        )
        for found in survey.unknown
    ]
    checks += [
        DoctorCheck(
            "lost manifest",
            CheckState.WARN,
            f"{orphan} has none, so it is not listed",
            "backstay catalog rebuild",
        )
        for orphan in survey.orphans
    ]
    return checks
