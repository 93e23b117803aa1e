"""Words, stems, sentences and phrases of a text: all that the offline model knows of language."""

import re
from collections.abc import Iterable, Iterator

LONGEST_SENTENCE = 400
LONGEST_PHRASE = 2

_WORD = re.compile(r"[^\W_](?:[\w'’-]*[^\W_])?")  # noqa: RUF001 - people write typographic apostrophes
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_LIST_ITEM = re.compile(r"^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]+(\S.*)$", re.MULTILINE)
_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ed", "es", "ly", "y", "s", "e")
_COMMON = """
the and for are was were been being that this these those with from into onto your yours you our ours they them
their his her its have has had does did done will would shall should can could may might must not but nor also
than then there here when where which who whom whose what why how all any each every both few more most other
some such only own same too very just about above below between through during before after again once out off
over under because however otherwise although never always until while per via one two three write give use using
input output task answer please am is be to of in on at by it as an or if so we me my he she him us do no up
whether since get gets got make makes made say says said tell take takes put come go see look name names thing
things work word words
"""
_STOP_WORDS = frozenset(_COMMON.split())


def stem(word: str) -> str:
    """A word without its commonest English endings, so that `refunds` meets `refunded`."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def words(text: str) -> list[str]:
    """The words that carry meaning, as stems, in order."""
    return [stem(word) for word in _WORD.findall(text.lower()) if len(word) > 2 and word not in _STOP_WORDS]


def all_stems(text: str) -> frozenset[str]:
    """The stems of all words, of the common ones too: `please` and `could` say that something is asked for."""
    return frozenset(stem(word) for word in _WORD.findall(text.lower()))


def written_words(text: str) -> dict[str, str]:
    """The stems of the text's words, each with the word as it is first written."""
    written: dict[str, str] = {}
    for word in _WORD.findall(text):
        if len(word) > 2 and word.lower() not in _STOP_WORDS:
            written.setdefault(stem(word.lower()), word)
    return written


def sentences(text: str) -> list[str]:
    """Sentences and list items, each once, without bullets."""
    parts = (_LIST_ITEM.sub(r"\1", part).strip(" \t-*•") for part in _SENTENCE_END.split(text))
    return list(dict.fromkeys(shorten(part, LONGEST_SENTENCE) for part in parts if _WORD.search(part)))


def list_items(text: str) -> list[str]:
    """The items of the lists in the text."""
    return [item.strip() for item in _LIST_ITEM.findall(text)]


def phrases(sentence: str) -> Iterator[str]:
    """Runs of one or two words that carry meaning, as written: the longest that stand between common words."""
    run: list[str] = []
    end = 0
    for found in _WORD.finditer(sentence):
        word = found[0]
        if run and sentence[end : found.start()].strip(" "):
            yield from _windows(run)  # a mark stands between them
            run = []
        end = found.end()
        if word.lower() in _STOP_WORDS or len(word) < 3:
            yield from _windows(run)
            run = []
        else:
            run.append(word)
    yield from _windows(run)


def shorten(text: str, longest: int) -> str:
    """The text up to its last whole word within the bound, with an ellipsis where something was cut off."""
    if len(text) <= longest:
        return text
    cut = text[: longest - 1]
    return cut[: cut.rfind(" ")].rstrip(" ,;:-") + "…" if " " in cut.strip() else cut + "…"


def overlap(one: Iterable[str], other: Iterable[str]) -> list[str]:
    """The stems of `one` that are in `other`, each once, in order."""
    known = frozenset(other)
    return [word for word in dict.fromkeys(one) if word in known]


def _windows(run: list[str]) -> Iterator[str]:
    for start in range(max(1, len(run) - LONGEST_PHRASE + 1) if run else 0):
        yield " ".join(run[start : start + LONGEST_PHRASE])
