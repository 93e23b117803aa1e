"""What the offline model can do with text: count words, pick sentences, see what a draft leaves out."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from executor.providers.offline_prompt import MARK, Brief

SUMMARY_SENTENCES = 3
KEY_TERMS = 8
LONGEST_SENTENCE = 400

_WORD = re.compile(r"[^\W_][\w'-]{2,}")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_LIST_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,3}[.)])\s+(.+)$", re.MULTILINE)
_MISSING = re.compile(r"Cover: ([^\n\"\]]+)")
_COMMON = """
the and for are was were been being that this these those with from into onto your yours you our ours they them
their his her its have has had does did done will would shall should can could may might must not but nor also
than then there here when where which who whom whose what why how all any each every both few more most other
some such only own same too very just about above below between through during before after again once out off
over under because however otherwise although never always until while per via one two three write give use using
input output task answer please
"""
_STOP_WORDS = frozenset(_COMMON.split())


def words(text: str) -> list[str]:
    """The words that carry meaning, as stems, in order."""
    return [stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS]


def stem(word: str) -> str:
    """A word without its commonest English endings, so that `refunds` meets `refunded`."""
    for ending in ("ations", "ation", "ings", "ing", "ies", "ed", "es", "ly", "y", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def sentences(text: str) -> list[str]:
    """Sentences and list items, each once, without bullets."""
    parts = (_LIST_ITEM.sub(r"\1", part).strip(" \t-*•") for part in _SENTENCE_END.split(text))
    return list(dict.fromkeys(part[:LONGEST_SENTENCE] for part in parts if _WORD.search(part)))


def list_items(text: str) -> list[str]:
    """The items of the lists in the text."""
    return [item.strip() for item in _LIST_ITEM.findall(text)]


def rank_sentences(text: str, focus: str = "") -> list[str]:
    """The sentences, the most telling first: frequent words count, and words of `focus` count more."""
    candidates = sentences(text)
    counts, wanted = Counter(words(text)), frozenset(words(focus))
    return sorted(candidates, key=lambda sentence: -_weight(sentence, counts, wanted))


def key_terms(text: str, limit: int = KEY_TERMS) -> list[str]:
    """What the text is about, as it is written: words used more than once, then the longest word of each sentence."""
    counts, written = Counter(words(text)), written_words(text)
    by_sentence = [sorted(set(words(sentence)), key=lambda term: (-len(term), term)) for sentence in sentences(text)]
    spread = [term for layer in zip_longest(*by_sentence) for term in layer if term is not None]
    frequent = [term for term, count in counts.most_common() if count > 1]
    return [written[term] for term in dict.fromkeys([*frequent, *spread])][:limit]


def written_words(text: str) -> dict[str, str]:
    """The stems of the text's words, each with the word as it is first written."""
    written: dict[str, str] = {}
    for word in _WORD.findall(text):
        if word.lower() not in _STOP_WORDS:
            written.setdefault(stem(word.lower()), word)
    return written


def overlap(one: Iterable[str], other: Iterable[str]) -> list[str]:
    """The stems of `one` that are in `other`, each once, in order."""
    known = frozenset(other)
    return [word for word in dict.fromkeys(one) if word in known]


def missing_terms(draft: str, source: str) -> list[str]:
    """The source's key terms that the draft does not mention."""
    present = frozenset(words(draft))
    return [term for term in key_terms(source) if stem(term.lower()) not in present]


def coverage(draft: str, source: str) -> float:
    """The share of the source's key terms that the draft mentions."""
    terms = key_terms(source)
    return 1.0 if not terms else 1 - len(missing_terms(draft, source)) / len(terms)


def write_text(brief: Brief) -> str:
    """The answer in prose: a revision where there is feedback on a draft, else the input's main sentences."""
    last, feedback = brief.section("last draft", "last result"), brief.section("feedback")
    if last is not None and feedback is not None:
        return _revise(last.text, _all_feedback(brief), brief.sources)
    chosen = pick_sentences(brief)
    if not chosen:
        return f"{MARK} The input holds no sentence to work with."
    return _as_list("Main points of the input, in its own words:", chosen)


def pick_sentences(brief: Brief, limit: int = SUMMARY_SENTENCES) -> list[str]:
    """The most telling sentences for this agent, in the order of the input."""
    source = brief.sources
    best = rank_sentences(source, focus=f"{brief.role} {brief.task}")[:limit]
    return [sentence for sentence in sentences(source) if sentence in best]


def _revise(draft: str, feedback: str, source: str) -> str:
    """The draft, and a sentence of the source for each term the feedback misses; unchanged when there is none."""
    kept = [line.strip(" -") for line in draft.splitlines() if line.strip() and not line.startswith(MARK)]
    for wanted in (term.strip() for listed in _MISSING.findall(feedback) for term in listed.split(",")):
        about = stem(wanted.lower())
        if not any(about in words(line) for line in kept):
            kept += [sentence for sentence in sentences(source) if about in words(sentence)][:1]
    revised = _as_list("Main points of the input, revised:", list(dict.fromkeys(kept)))
    return draft if revised.splitlines()[1:] == draft.splitlines()[1:] else revised


def _all_feedback(brief: Brief) -> str:
    return "\n".join(section.text for section in brief.sections if section.has_word("feedback"))


def _as_list(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{MARK} {title}", *(f"- {line}" for line in lines)])


def _weight(sentence: str, counts: Counter[str], wanted: frozenset[str]) -> float:
    stems = list(dict.fromkeys(words(sentence)))
    if not stems:
        return 0.0
    return sum(counts[word] * (3 if word in wanted else 1) for word in stems) / math.sqrt(len(stems))
