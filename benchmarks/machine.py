"""What the figures depend on: the machine, the server, and every program's version."""

import os
import subprocess
import time
from pathlib import Path

from app.sandbox.server import find_program


_PROGRAMS = ("mariadb", "mariadb-dump", "mariadb-backup", "mydumper", "gzip", "zstd")


def facts(backstay: Path, mydumper: Path | None) -> dict[str, object]:
    """
    Describe where and what is measured.

    Args:
        backstay: Our program.
        mydumper: A newer mydumper, if there is one.

    Returns:
        Plain values; a program that is not there has an empty version.
    """
    versions = {name: _said(name, "--version") for name in _PROGRAMS}
    versions["backstay"] = _said(str(backstay), "--version")
    versions["backstay commit"] = _said("git", "describe", "--always", "--dirty")
    if mydumper:
        versions["MYDUMPER"] = _said(str(mydumper), "--version")
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "cpu": _after(Path("/proc/cpuinfo"), "model name"),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": os.uname().release,
        "server": _said(find_program("mariadbd") or "mariadbd", "--version"),
        "versions": versions,
    }


def _said(*command: str) -> str:
    """Return the first line that a command says, on either stream; empty when it is not there."""
    try:
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError:
        return ""
    return next((line.strip() for line in done.stdout.splitlines() if line.strip()), "")


def _after(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""
