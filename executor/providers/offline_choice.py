"""How the offline model chooses between the values of an enum: by the words that option and input share."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from executor.json_types import Json
from executor.providers.offline_prompt import Brief
from executor.providers.offline_text import overlap, stem, words, written_words

AFFIRMATIVE = frozenset({"accept", "approve", "approved", "pass", "passed", "ok"})
# What is chosen when no word decides.
MIDDLE = frozenset({"other", "neutral", "general", "medium", "normal", "unknown", "none", "mixed"})

_KNOWN_WORDS: Mapping[str, str] = {
    "positive": "great good love loved excellent happy thanks helpful easy fast perfect recommend pleased wonderful",
    "negative": "bad broken slow terrible angry disappointed refund cancel worst hate unusable crash fails never wrong",
    "critical": "outage down breach urgent immediately security data loss production emergency everyone",
    "high": "urgent immediately blocked outage important deadline angry severe failing escalate today",
    "urgent": "urgent immediately outage blocked emergency asap deadline today",
    "low": "minor cosmetic typo whenever suggestion nice question wondering",
    "billing": "invoice invoices charge charged refund payment price card subscription paid billed",
    "technical": "error crash bug login password install server slow broken api timeout fails code",
    "sales": "price quote demo upgrade plan enterprise discount purchase buy licence license",
    "bug": "error crash broken fails exception regression wrong unexpected",
    "security": "injection password token secret vulnerability breach leak authentication permission",
    "performance": "slow latency timeout memory query loop cache",
    "legal": "contract clause liability indemnity termination jurisdiction breach warranty",
}


@dataclass(frozen=True)
class Choice:
    """One value of an enum. `hits` are the words for it that the input holds."""

    value: Json
    hits: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        if not self.hits:
            return "No word of the input speaks for it."
        return f"The input shares these words with it: {', '.join(self.hits[:5])}."


Choices = list[Choice]


def rank_choices(options: Sequence[Json], text: str, brief: Brief) -> Choices:
    """The options, the best first; of equals the one in the middle (`other`, `neutral`), then the earlier."""
    found = written_words(text)
    choices = [
        Choice(option, tuple(found[word] for word in overlap(_words_for(option, brief), found))) for option in options
    ]
    return sorted(choices, key=lambda choice: _rank(choice, brief))


def confidence(choice: Choice) -> float:
    """From 0.2 without a word in its favour towards 1 with many."""
    hits = len(choice.hits)
    return 0.2 if hits == 0 else round(0.5 + 0.5 * hits / (hits + 1), 2)


def _rank(choice: Choice, brief: Brief) -> tuple[bool, int, bool]:
    value = str(choice.value).lower()
    accepts = value in AFFIRMATIVE and not any(section.has_word("failed") for section in brief.sections)
    return not accepts, -len(choice.hits), value not in MIDDLE


def _words_for(option: Json, brief: Brief) -> list[str]:
    """The option's own words, what is said of it in a list (`- option: …`), and what is commonly meant by it."""
    name = str(option)
    said = re.findall(rf"^\s*[-*]\s*{re.escape(name)}\s*:(.*)$", f"{brief.role}\n{brief.asked}", re.MULTILINE)
    own = words(" ".join([name.replace("_", " "), *said]))
    known = [stem(word) for key in words(name.replace("_", " ")) for word in _KNOWN_BY_STEM.get(key, ())]
    return [*own, *known]


_KNOWN_BY_STEM: Mapping[str, Sequence[str]] = {stem(key): value.split() for key, value in _KNOWN_WORDS.items()}
