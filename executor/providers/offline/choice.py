"""How the offline model chooses between the values of an enum: by the words that option and input share."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from executor.json_types import Json
from executor.providers.offline.lexicon import meant_by
from executor.providers.offline.prompt import Brief
from executor.providers.offline.words import overlap, words, written_words

AFFIRMATIVE = frozenset({"accept", "approve", "approved", "pass", "passed", "ok"})
# What is chosen when no word decides.
MIDDLE = frozenset({"other", "neutral", "general", "medium", "normal", "unknown", "none", "mixed"})
# What is chosen when words speak for both sides.
BOTH = "mixed"


@dataclass(frozen=True)
class Choice:
    """One value of an enum. `hits` are the words for it that the input holds."""

    value: Json
    hits: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        if str(self.value).lower() in AFFIRMATIVE:
            return "Nothing has failed; the offline model finds no other fault."
        if not self.hits:
            return "No word of the input speaks for it."
        return f"The input has these words for it: {', '.join(self.hits[:5])}."


Choices = list[Choice]


def rank_choices(options: Sequence[Json], text: str, brief: Brief) -> Choices:
    """The options, the best first; of equals the one in the middle (`other`, `neutral`), then the earlier."""
    found = written_words(text)
    listed = dict(list_options(f"{brief.role}\n{brief.asked}"))
    by_option = [_words_for(str(option), listed) for option in options]
    # A word that stands for every option says nothing about any.
    for_all = frozenset.intersection(*map(frozenset, by_option)) if len(by_option) > 1 else frozenset()
    choices = [
        Choice(option, tuple(found[word] for word in overlap(own, found) if word not in for_all))
        for option, own in zip(options, by_option, strict=True)
    ]
    ranked = sorted(choices, key=lambda choice: _rank(choice, brief))
    return _with_both_sides(ranked)


def list_options(text: str) -> list[tuple[str, str]]:
    """The options that a text lists (`- new: feat, feature`), each with what is said of it; [] for fewer than two."""
    found = re.findall(r"^[ \t]*[-*][ \t]+([^:\n]{1,80}?)[ \t]*:[ \t]*(\S.*)$", text, re.MULTILINE)
    return found if len(found) > 1 else []


def confidence(choice: Choice) -> float:
    """From 0.2 without a word in its favour towards 1 with many; a single word is less than an even chance."""
    hits = len(choice.hits)
    return 0.2 if hits == 0 else round(hits / (hits + 1.2), 2)


def _rank(choice: Choice, brief: Brief) -> tuple[bool, int, bool]:
    value = str(choice.value).lower()
    accepts = value in AFFIRMATIVE and not brief.has_failure
    return not accepts, -len(choice.hits), value not in MIDDLE


def _with_both_sides(ranked: Choices) -> Choices:
    """`mixed` first, where the input speaks for two others and for neither of them more than twice as much."""
    both = [choice for choice in ranked if str(choice.value).lower() == BOTH]
    sides = [choice for choice in ranked if choice not in both and choice.hits]
    if not both or len(sides) < 2 or len(sides[0].hits) > 2 * len(sides[1].hits):
        return ranked
    mixed = Choice(both[0].value, (*sides[0].hits[:2], *sides[1].hits[:2]))
    return [mixed, *(choice for choice in ranked if choice not in both)]


def _words_for(option: str, listed: Mapping[str, str]) -> list[str]:
    """The option's own words, what is said of it in a list (`- option: …`), and what is commonly meant by it."""
    own = words(option.replace("_", " "))
    return [*own, *words(listed.get(option, "")), *meant_by(frozenset(own))]
