"""
What retention would do in a place: its backups are read, judged by its rules, and those that would go are asked for.

Pages ask again and again, and every change of a schedule asks for what is as well as for what would be. So what was
judged serves as long as the reading of the catalogue is the same object, the rules say the same, and no backup has
reached an age that they ask for. All calls block.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Protocol

from app.archive.catalogue.catalogue import Catalogue
from app.archive.catalogue.readings import Reading
from app.domain.backups.catalogue import Survey
from app.domain.backups.pruning import LogPruning, RetentionPlan
from app.domain.backups.retention import RetentionDecision, RetentionItem
from app.domain.backups.rules import RetentionRules
from app.domain.schedule import Schedule
from app.errors import ClockJumpedError
from app.services.backups.retention_items import item_in, made_at
from app.services.backups.retention_rules import Rules
from app.storage.clock_witness import ClockWitness


# As schedules are and as one may become, each with nothing held and with what is.
_MOST: Final = 4


@dataclass(frozen=True, slots=True)
class Judged:
    """
    What was judged.

    Attributes:
        items: The backups of the reading, as retention sees them.
        held: Those that are held, by id.
        since: When it was judged.
        until: When it does not serve any more; None = time changes nothing.
        decisions: About each backup, newest first.
    """

    reading: Reading
    items: tuple[RetentionItem, ...]
    held: Mapping[str, RetentionItem]
    rules: RetentionRules
    since: datetime
    until: datetime | None
    decisions: tuple[RetentionDecision, ...]

    def serves_at(self, now: datetime) -> bool:
        """Tell whether time has changed nothing since."""
        return self.since <= now and (self.until is None or now < self.until)


class Judgements:
    """The last judgements of a place; several threads may ask at once."""

    def __init__(self) -> None:
        # Replaced as a whole, as threads share it; what was used last comes first.
        self._known: tuple[Judged, ...] = ()

    def judge(
        self,
        reading: Reading,
        rules: RetentionRules,
        now: datetime,
        held: Mapping[str, RetentionItem] | None = None,
    ) -> Judged:
        """
        Decide about every backup of a reading, or find what was decided.

        Args:
            reading: Of the place.
            rules: Of the place.
            now: Aware instant.
            held: Backups that are to be seen otherwise than the reading tells, by id.

        Returns:
            What was decided, now or before.
        """
        held = held or {}
        of_reading = [known for known in self._known if known.reading is reading]
        items = of_reading[0].items if of_reading else _items_in(reading)
        rules = rules.about({item.schedule for item in items})
        found = next(
            (
                known
                for known in of_reading
                if known.serves_at(now) and (known.rules, known.held) == (rules, held)
            ),
            None,
        )
        if found is None:
            seen = [held.get(item.backup_id, item) for item in items]
            until, decisions = rules.next_change(items, now), rules.judge(seen, now)
            found = Judged(reading, items, held, rules, now, until, decisions)
        self._known = (found, *(known for known in self._known if known is not found))[:_MOST]
        return found


def _items_in(reading: Reading) -> tuple[RetentionItem, ...]:
    return tuple(item_in(reading, entry) for entry in reading.survey.entries)


class LogRetention(Protocol):
    """How much is kept of the archived binary log of a place; all calls block and raise StorageError."""

    def hold(self, items: Sequence[RetentionItem]) -> Mapping[str, str]:
        """Say which backups are kept for it, and why, by their ids."""
        ...

    def plan(self, items: Sequence[RetentionItem]) -> tuple[LogPruning, ...]:
        """Say what of it would go when these backups stay."""
        ...

    def prune(self, items: Sequence[RetentionItem]) -> tuple[LogPruning, ...]:
        """Remove what none of these backups needs."""
        ...


@dataclass(slots=True)
class _Look:
    """
    One look at a place, for every plan that is made of it.

    Attributes:
        clock: Why the clock cannot be right; None when it can.
        in_use: Whether somebody reads a backup right now, by id, of those that were asked for.
    """

    reading: Reading
    clock: ClockJumpedError | None
    now: datetime
    in_use: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetentionPlanner:
    """
    Plans the retention of a place, and changes nothing.

    Attributes:
        catalogue: The backups of the place.
        rules: Those of the place.
        witness: Says whether the clock can be right, and by what time backups are old.
        log: The archived binary log of the place; None where there never is one.
        judgements: Those of before.
    """

    catalogue: Catalogue
    rules: Rules
    witness: ClockWitness
    log: LogRetention | None
    judgements: Judgements = field(default_factory=Judgements)

    def read(self, *, anew: bool) -> Reading:
        """Read the backups there are; raises StorageError."""
        if not self.catalogue.directory.is_there():
            return Reading(Survey((), (), ()), {})
        return self.catalogue.read(anew=anew)

    def plan(self, *schedules: Schedule | None) -> tuple[RetentionPlan, ...]:
        """
        Make a plan of the same backups for each of these schedules as it may become; None = all as they are.

        Returns:
            One plan for each.

        Raises:
            StorageError: The place cannot be read.
            IntegrityError: Nobody knows what is to be kept.
        """
        reading, clock = self.read(anew=False), None
        try:
            self.witness.check(made_at(reading))
        except ClockJumpedError as exc:
            clock = exc
        look = _Look(reading, clock, self.witness.elapsed())
        return tuple(self._plan(self.rules.read(schedule), look) for schedule in schedules)

    def _plan(self, rules: RetentionRules, look: _Look) -> RetentionPlan:
        judged = self.judgements.judge(look.reading, rules, look.now)
        # Only those that would go are asked for: a lock for a moment is in nobody's way then.
        going = [decision.item for decision in judged.decisions if not decision.is_kept]
        if held := self._held(going, judged.items, rules, look):
            judged = self.judgements.judge(look.reading, rules, look.now, held)
        kept = [decision.item for decision in judged.decisions if decision.is_kept]
        log = self.log.plan(kept) if self.log and not rules.off else ()
        return RetentionPlan(judged.decisions, look.clock, log)

    def _held(
        self,
        going: Sequence[RetentionItem],
        items: Sequence[RetentionItem],
        rules: RetentionRules,
        look: _Look,
    ) -> Mapping[str, RetentionItem]:
        """Hold what is read right now, what the place keeps itself, and what the binary log needs."""
        bases = self.log.hold(items) if going and self.log else {}
        self._ask(going, look)
        held = {}
        for item in going:
            locked = rules.lock(item, look.now)
            pinned = locked.pinned or bases.get(item.backup_id, "")
            if pinned or look.in_use[item.backup_id]:
                is_in_use = look.in_use[item.backup_id]
                held[item.backup_id] = replace(item, pinned=pinned, is_in_use=is_in_use)
        return held

    def _ask(self, going: Sequence[RetentionItem], look: _Look) -> None:
        """Ask which backups somebody reads right now, each once a look."""
        unknown = {item.backup_id for item in going} - look.in_use.keys()
        entries = (entry for entry in look.reading.survey.entries if entry.backup_id in unknown)
        files = {entry.file: str(entry.backup_id) for entry in entries}
        used = self.catalogue.in_use(files)
        look.in_use.update((backup_id, file in used) for file, backup_id in files.items())
