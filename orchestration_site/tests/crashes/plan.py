"""At which point a process of the site ends itself: what a test writes, and the process reads."""

import json
from pathlib import Path
from typing import NamedTuple


class Point(NamedTuple):
    """The `nth` time since it was armed that a process is before or after this operation."""

    side: str
    operation: str
    nth: int

    @property
    def is_by_chance(self) -> bool:
        """Whether it need not come again.

        A commit of the writer holds whatever came in time for it, and a hint is sent where nobody was quicker.
        """
        return self.operation.startswith(("commit_writes", "hint", "publish"))

    def __str__(self) -> str:
        return f"{self.side:<6} {self.operation} ({self.nth})"


class Plan(NamedTuple):
    """Where a process notes the points that it passes, and at which it ends itself. Kept as a JSON file."""

    passed: str
    end_at: Point | None

    def write(self, path: Path) -> None:
        """Arm whoever reads this path: it counts from now on."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(self))
        new.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Plan":
        passed, end_at = json.loads(path.read_text())
        return cls(passed, None if end_at is None else Point(*end_at))
