"""How the offline model judges a draft: by the points of the input that it mentions and the lines that it invents."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from executor.providers.offline.material import Passage, material_of
from executor.providers.offline.picking import coverage, missing_terms
from executor.providers.offline.prompt import Brief
from executor.providers.offline.prose import MISSING, material_of_brief

TERMS_AT_A_TIME = 3
LONGEST_CLEAR = 220

_ABOUT_TRUTH = ("accura", "invent", "correct", "factual", "true", "support", "faithful")
_ABOUT_STYLE = ("clear", "clarity", "concise", "short", "brief", "readab")


@dataclass(frozen=True)
class Judging:
    """A draft beside what it was to be made of."""

    draft: Sequence[Passage]
    source: Sequence[Passage]

    @cached_property
    def coverage(self) -> float:
        return coverage(self.draft, self.source)

    def score(self, criterion: str) -> float:
        """From 0 to 1. It rises as what was missing is added; a criterion that words cannot measure counts as that."""
        name = criterion.lower()
        if any(word in name for word in _ABOUT_TRUTH):
            return self._share([any(line.repeats(one) for one in self.source) for line in self.draft])
        if any(word in name for word in _ABOUT_STYLE):
            return self._share([len(line.text) <= LONGEST_CLEAR for line in self.draft])
        return round(0.4 + 0.6 * self.coverage, 2)

    def feedback(self) -> list[str]:
        missing = missing_terms(self.draft, self.source)[:TERMS_AT_A_TIME]
        return [f"{MISSING}{'; '.join(missing)}."] if missing else []

    def _share(self, lines: Sequence[bool]) -> float:
        return round(0.4 + 0.6 * sum(lines) / len(lines), 2) if lines else 0.4


def judging(brief: Brief) -> Judging | None:
    """None where there is nothing to judge."""
    if brief.judged is None:
        return None
    return Judging(material_of(brief.judged.text).passages, material_of_brief(brief).passages)
