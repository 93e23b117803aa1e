"""What can be quoted of an agent's input: sentences, list items and lines of code, without the JSON around them."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from executor.json_types import Json
from executor.providers.offline.prompt import Section
from executor.providers.offline.words import all_stems, list_items, phrases, sentences, words

MARK = "[offline demo]"
MAX_PASSAGES = 400
# A shorter text without an end mark is a value (`Checkout`, `SEV1`), not a sentence.
SHORTEST_SENTENCE = 60
LONGEST_ITEM = 240
DEEPEST = 20

#: The names of fields (`output_schema`), unlike labels and the names of agents (`Mood analyst`).
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_-]*")
_DIFF = re.compile(r"^@@ .*@@", re.MULTILINE)
_ADDED_LINE = re.compile(r"^\+(?!\+\+)[ \t]*(\S.*)$", re.MULTILINE)
_NAMED_LINE = re.compile(r"^[^\w\n]{0,8}([A-Za-z][\w -]{0,40}?)[ \t]?[:=][ \t]+(\S.*)$", re.MULTILINE)
_STRING_IN_JSON = re.compile(r'"((?:[^"\\]|\\.)*)"(\s{0,9}:)?')


@dataclass(frozen=True)
class Passage:
    """Something to quote. `whole` is the comment or item that it stands in, `group` the heading it came under."""

    text: str
    whole: str = ""
    group: str = ""
    is_code: bool = False
    is_item: bool = False

    @cached_property
    def meaning(self) -> frozenset[str]:
        return frozenset(words(self.text))

    @cached_property
    def stems(self) -> frozenset[str]:
        return all_stems(self.text)

    @cached_property
    def phrases(self) -> Mapping[str, tuple[str, ...]]:
        """Its phrases as written, each with the stems of its words."""
        return {} if self.is_code else {phrase: tuple(words(phrase)) for phrase in phrases(self.text)}

    @cached_property
    def whole_meaning(self) -> frozenset[str]:
        return frozenset(words(self.whole or self.text))

    @property
    def shown(self) -> str:
        return f"`{self.text}`" if self.is_code else self.text

    def repeats(self, other: "Passage") -> bool:
        """Whether one of the two says hardly anything that the other does not."""
        shorter = min(len(self.meaning), len(other.meaning))
        return self.text == other.text or (shorter > 0 and len(self.meaning & other.meaning) >= 0.8 * shorter)


@dataclass(frozen=True)
class Material:
    """The passages in their order, each once; the input's values by name (in lower case); short remarks by group."""

    passages: tuple[Passage, ...]
    facts: Mapping[str, str]
    remarks: Mapping[str, Sequence[str]]

    @cached_property
    def text(self) -> str:
        return "\n".join(passage.text for passage in self.passages)

    @property
    def groups(self) -> list[str]:
        return list(dict.fromkeys(passage.group for passage in self.passages))

    def fact(self, name: str) -> str | None:
        """The value that the input has under that name."""
        return self.facts.get(_plain(name))


def read_material(sections: Iterable[Section], *, known: str = "", by_section: bool = False) -> Material:
    """All that these sections hold, but for what is `known`: a question is no answer to itself.

    A name that stands twice keeps its first value. `by_section`: headings inside a section count for nothing.
    """
    reader = _Reader(known, by_section=by_section)
    for section in sections:
        # `Understand the change / Test mapper` is an agent's own output, by its block and its name.
        label = section.label.rpartition(" / ")[2]
        reader.read_value(section.data if section.data is not None else section.text, "", _group_named(label))
    return reader.material()


def material_of(text: str) -> Material:
    """A text of its own."""
    reader = _Reader()
    reader.read_text(text, "", "")
    return reader.material()


class _Reader:
    def __init__(self, known: str = "", *, by_section: bool = False) -> None:
        self._known = known
        self._by_section = by_section
        self._passages: dict[str, Passage] = {}
        self._facts: dict[str, str] = {}
        self._remarks: dict[str, list[str]] = {}

    def material(self) -> Material:
        return Material(tuple(self._passages.values()), self._facts, self._remarks)

    def read_value(self, value: Json, name: str, group: str, depth: int = 0) -> None:
        if depth > DEEPEST:
            return
        if isinstance(value, dict):
            for key, item in value.items():
                named = "" if _IDENTIFIER.fullmatch(key) or (group and self._by_section) else key
                self.read_value(item, key, named or group, depth + 1)
        elif isinstance(value, list):
            for item in value:
                self._read_item(item, name, group, depth)
        elif isinstance(value, str):
            self._read_string(value, name, group)
        elif value is not None:
            self._note(name, json.dumps(value), group)

    def read_text(self, text: str, name: str, group: str) -> None:
        if text.startswith(MARK):
            self._read_own(text, group)
        elif _DIFF.search(text):
            for line in _ADDED_LINE.findall(text):
                self._add(Passage(line, line, group, is_code=True))
        elif text[:1] in ("{", "["):  # JSON that was cut off
            for string, is_name in _STRING_IN_JSON.findall(text):
                self._add_sentences("" if is_name else string, group)
        else:
            for named, value in _NAMED_LINE.findall(text):
                self._facts.setdefault(_plain(named), value.strip())
            self._add_sentences(text, group)

    def _read_item(self, item: Json, name: str, group: str, depth: int) -> None:
        if isinstance(item, str) and not item.startswith(MARK):
            self._add_sentences(item, group, whole=item)
        elif isinstance(item, dict) and (record := _as_one_sentence(item)) is not None:
            self._add(Passage(record, record, group))
        else:
            self.read_value(item, name, group, depth + 1)

    def _read_string(self, text: str, name: str, group: str) -> None:
        if name:
            self._facts.setdefault(_plain(name), text)
        is_value = len(text) <= SHORTEST_SENTENCE and text.rstrip()[-1:] not in (*".!?",) and "\n" not in text
        if is_value and (name or group):
            self._note(name, text, group)
        else:
            self.read_text(text, name, group)

    def _note(self, name: str, value: str, group: str) -> None:
        if name:
            self._facts.setdefault(_plain(name), value)
        if group:
            self._remarks.setdefault(group, []).append(value)

    def _read_own(self, text: str, group: str) -> None:
        """What this model has written itself: a title, then bullets, under headings where there is more than one."""
        heading = group
        for line in text.splitlines()[1:]:
            if items := list_items(line):
                self._add(Passage(items[0], items[0], heading))
            elif line.strip() and not (group and self._by_section):
                heading = line.strip().removesuffix(":")

    def _add_sentences(self, text: str, group: str, whole: str = "") -> None:
        items = frozenset([text, *list_items(text)] if whole else list_items(text))
        for sentence in sentences(text):
            around = whole if 0 < len(whole) <= LONGEST_ITEM else sentence
            self._add(Passage(sentence, around, group, is_item=sentence in items))

    def _add(self, passage: Passage) -> None:
        if len(self._passages) < MAX_PASSAGES and passage.stems and passage.text not in self._known:
            self._passages.setdefault(passage.text, passage)


def _as_one_sentence(record: Mapping[str, Json]) -> str | None:
    """`{theme: "Excel export", example: "It fails."}` as `Excel export: It fails.`; None where it is no such record."""
    texts = [value for value in record.values() if isinstance(value, str) and value]
    if len(record) != 2 or len(texts) != 2 or any(not _IDENTIFIER.fullmatch(key) for key in record):
        return None
    name, about = texts
    is_named = len(name) <= SHORTEST_SENTENCE and name[-1:] not in (*".!?",) and len(about) > len(name)
    if about.casefold().startswith(name.casefold()):
        return about
    return f"{name}: {about}" if is_named and not about.startswith(MARK) and "\n" not in about else None


def _group_named(label: str) -> str:
    """A heading worth showing: `Input` and what a task brings along are the input itself."""
    return "" if label == "Input" or _IDENTIFIER.fullmatch(label) else label


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().lower()
