"""What was measured of each program, as lines of one table and as values for the JSON file."""

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field


OURS = "backstay gzip"
HEADINGS = (
    "data",
    "part",
    "program",
    "median s",
    "min",
    "max",
    "MB/s",
    "times ours",
    "output MB",
    "peak MB",
    "client CPU s",
    "server CPU s",
)


@dataclass(frozen=True, slots=True)
class Run:
    """
    One measured execution.

    Attributes:
        seconds: Wall clock.
        client_cpu_seconds: User and system time of the command and its children.
        server_cpu_seconds: The same of the server, while the command ran.
        peak_bytes: Largest sum of resident memory over the command's processes.
        output_bytes: Size of what was written, 0 for a restore.
    """

    seconds: float
    client_cpu_seconds: float
    server_cpu_seconds: float
    peak_bytes: int
    output_bytes: int


@dataclass(slots=True)
class Score:
    """All runs of one contestant, or the reason why it has none."""

    name: str
    command: str
    runs: list[Run] = field(default_factory=list)
    failure: str = ""

    @property
    def median_seconds(self) -> float:
        """Median wall clock of the runs; there must be one."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak_bytes(self) -> int:
        """Largest peak of the runs; there must be one."""
        return max(run.peak_bytes for run in self.runs)


@dataclass(frozen=True, slots=True)
class Contest:
    """
    The scores of one contest.

    Attributes:
        data: Name of the data set with its megabytes.
        part: `backup` or `restore`.
        raw_bytes: Size of the data as plain SQL, for MB/s.
        scores: One a program; ratios are taken against `OURS`, if it is there.
    """

    data: str
    part: str
    raw_bytes: int
    scores: list[Score]


def header() -> str:
    """Return the first two lines of the Markdown table."""
    return f"| {' | '.join(HEADINGS)} |\n{'|---' * len(HEADINGS)}|"


def lines(contest: Contest) -> list[str]:
    """
    Lay a contest out as lines of the Markdown table.

    Returns:
        One line a program; a failed one has its reason in the place of its figures.
    """
    base = _base_seconds(contest.scores)
    place = f"| {_cell(contest.data)} | {_cell(contest.part)}"
    done = [
        f"{place} | {_cell(score.name)} | {_figures(score, contest.raw_bytes, base)} |"
        for score in contest.scores
        if score.runs
    ]
    failed = [
        f"{place} | {_cell(score.name)} | failed: {_cell(score.failure)} |"
        for score in contest.scores
        if score.failure
    ]
    return done + failed


def as_json(contest: Contest) -> list[dict[str, object]]:
    """Return every run of every program as plain values, with the medians."""
    base = _base_seconds(contest.scores)
    return [
        asdict(score) | (_summary(score, contest.raw_bytes, base) if score.runs else {})
        for score in contest.scores
    ]


def _base_seconds(scores: Iterable[Score]) -> float | None:
    return next(
        (score.median_seconds for score in scores if score.runs and score.name == OURS), None
    )


def _summary(score: Score, raw_bytes: int, base_seconds: float | None) -> dict[str, object]:
    def median(name: str) -> float:
        return statistics.median(float(getattr(run, name)) for run in score.runs)

    seconds = [run.seconds for run in score.runs]
    return {
        "median_seconds": score.median_seconds,
        "min_seconds": min(seconds),
        "max_seconds": max(seconds),
        "megabytes_per_second": raw_bytes / 1e6 / score.median_seconds,
        "times_ours": score.median_seconds / base_seconds if base_seconds else None,
        "output_bytes": median("output_bytes"),
        "peak_bytes": score.peak_bytes,
        "client_cpu_seconds": median("client_cpu_seconds"),
        "server_cpu_seconds": median("server_cpu_seconds"),
    }


def _figures(score: Score, raw_bytes: int, base_seconds: float | None) -> str:
    ratio = f"{score.median_seconds / base_seconds:.2f}" if base_seconds else "-"
    seconds = [run.seconds for run in score.runs]
    client = statistics.median(run.client_cpu_seconds for run in score.runs)
    server = statistics.median(run.server_cpu_seconds for run in score.runs)
    output = statistics.median(run.output_bytes for run in score.runs)
    return (
        f"{score.median_seconds:.2f} | {min(seconds):.2f} | {max(seconds):.2f} "
        f"| {raw_bytes / 1e6 / score.median_seconds:.0f} | {ratio} "
        f"| {output / 1e6:.1f} | {score.peak_bytes / 1e6:.0f} | {client:.2f} | {server:.2f}"
    )


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
