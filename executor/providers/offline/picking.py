"""Which passages of an input an agent would point at: those that its role's words, and words like them, call for."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from executor.providers.offline.lexicon import related
from executor.providers.offline.material import Passage
from executor.providers.offline.words import sentences, words

#: A shorter passage (`Great.`) says too little to stand alone.
FEWEST_WORDS = 2
KEY_TERMS = 8
#: Of a role or a task so much is read.
LONGEST_ROLE = 3_000
#: So many points of a source a draft is measured by.
MOST_POINTS = 12

_SHUNS = re.compile(r"(?:leave out|do not|don't|never|drop|avoid|without|no|nothing)\b", re.IGNORECASE)
_NEGATED = re.compile(r"\b(?:not|never|no|without)\b([^,.;:!?]*)", re.IGNORECASE)
_BRACKETS = re.compile(r"\([^)]*\)|'[^']*'")


@dataclass(frozen=True)
class Focus:
    """What an agent looks for: words of its own, groups of words that these call for, and words that it shuns."""

    own: frozenset[str] = frozenset()
    groups: tuple[frozenset[str], ...] = ()
    shunned: frozenset[str] = frozenset()

    def hits(self, passage: Passage) -> list[int]:
        """How often each group speaks in the passage; the agent's own words are the last."""
        return [len(group & passage.stems) for group in self.groups] + [len(self.own & passage.meaning)]

    def calls_for(self, passage: Passage) -> bool:
        return not self.shunned & passage.meaning and any(self.hits(passage))


@lru_cache(maxsize=256)
def focus_on(text: str) -> Focus:
    """The focus of a role or a task. What it says not to do (`Leave out what is internal`) is shunned."""
    wanted: set[str] = set()
    shunned: set[str] = set()
    for sentence in sentences(_BRACKETS.sub(" ", text[:LONGEST_ROLE])):
        if _SHUNS.match(sentence):
            shunned.update(words(sentence))
        else:
            wanted.update(words(_NEGATED.sub(" ", sentence)))
    own = frozenset(wanted)
    return Focus(own, related(own), frozenset(shunned - wanted))


def pick(passages: Sequence[Passage], focus: Focus, limit: int) -> list[Passage]:
    """The most telling passages, the best first. None repeats another one; code has to be called for.

    Each group of the focus counts a quarter as much once a passage has spoken for it, so that no side is left out.
    """
    common = _common_words(passages)
    quotable = [passage for passage in passages if focus.calls_for(passage) or not passage.is_code]
    telling = [passage for passage in quotable if len(passage.meaning) >= FEWEST_WORDS]
    left = {passage: (focus.hits(passage), _weight(passage, common, focus)) for passage in telling or quotable}
    share = [1.0] * (len(focus.groups) + 1)
    chosen: list[Passage] = []
    while left and len(chosen) < limit:
        best = max(left, key=lambda passage: _score(*left[passage], share, passage))
        hits, _ = left.pop(best)
        if any(best.repeats(other) for other in chosen):
            continue
        chosen.append(best)
        share = [part / 4 if hit else part for part, hit in zip(share, hits, strict=True)]
    return chosen


def in_order(chosen: Iterable[Passage], passages: Iterable[Passage]) -> list[Passage]:
    """The chosen ones as they come in the input."""
    wanted = frozenset(chosen)
    return [passage for passage in passages if passage in wanted]


def key_terms(passages: Sequence[Passage], limit: int = KEY_TERMS) -> list[str]:
    """What the passages are about, as it is written: the phrases whose words stand in the most of them."""
    common = _common_words(passages)
    stems = {phrase: own for passage in passages for phrase, own in passage.phrases.items() if own}
    terms: list[str] = []
    said: set[str] = set()
    for phrase in sorted(stems, key=lambda phrase: -sum(common[word] for word in stems[phrase])):
        if len(terms) == limit:
            break
        if said.isdisjoint(stems[phrase]):
            terms.append(phrase)
            said.update(stems[phrase])
    return terms


def themes(passages: Sequence[Passage], limit: int) -> list[tuple[str, Passage]]:
    """The key term of what most passages speak of, with one of them; then that of the rest, and so on."""
    found: list[tuple[str, Passage]] = []
    rest = list(passages)
    while len(found) < limit and (terms := key_terms(rest, 1)):
        stems = frozenset(words(terms[0]))
        spoken = [passage for passage in rest if stems <= passage.whole_meaning]
        found.append((terms[0][:1].upper() + terms[0][1:], spoken[0]))
        rest = [passage for passage in rest if passage not in spoken]
    return found


def missing_terms(draft: Iterable[Passage], source: Sequence[Passage]) -> list[str]:
    """Those of the source's points that the draft does not mention."""
    present = frozenset(word for passage in draft for word in passage.meaning)
    return [term for term in _points(source) if not present.issuperset(words(term))]


def coverage(draft: Sequence[Passage], source: Sequence[Passage]) -> float:
    """The share of the source's points that the draft mentions."""
    points = _points(source)
    return 1.0 if not points else 1 - len(missing_terms(draft, source)) / len(points)


def about(term: str, passages: Iterable[Passage]) -> Passage | None:
    """The passage that shares the most words with a term or a remark."""
    wanted = frozenset(words(term))
    return max((p for p in passages if p.meaning & wanted), key=lambda p: len(p.meaning & wanted), default=None)


def _points(source: Sequence[Passage]) -> list[str]:
    """The most telling passages of a source, each as its key term, in order."""
    telling = in_order(pick(source, Focus(), MOST_POINTS), source)
    return list(dict.fromkeys(term for passage in telling for term in key_terms([passage], 1)))


def _common_words(passages: Iterable[Passage]) -> Counter[str]:
    return Counter(word for passage in passages for word in passage.meaning)


def _weight(passage: Passage, common: Counter[str], focus: Focus) -> float:
    repeated = sum(common[word] - 1 for word in passage.meaning) if not passage.is_code else 0
    return math.log1p(repeated) / 2 - 3 * len(focus.shunned & passage.meaning)


def _score(hits: Sequence[int], weight: float, share: Sequence[float], passage: Passage) -> float:
    called_for = sum(min(hit, 3) * part for hit, part in zip(hits, share, strict=True))
    return (weight + 2 * called_for) / math.sqrt(max(4, len(passage.meaning)))
