"""How the offline model reads a prompt: a task, headed sections of input, and what is asked of it at the end."""

import json
import re
from dataclasses import dataclass

from executor.json_types import Json
from executor.providers.contract import ModelRequest

MARK = "[offline demo]"
# The model reads so much of each section. It is a demonstration, and shares an event loop with real work.
LONGEST_SECTION = 50_000
# A short value needs its name beside it to mean something; a paragraph does not.
LONGEST_LABELLED = 80

# `From …:` is how this model itself hands material on inside an instruction.
_HEADING = re.compile(r"^(?:## (?P<headed>[^\n]+)|From (?P<handed_on>[^\n:]{1,80}):)\n", re.MULTILINE)
_RESULT = re.compile(r"(?:\A|\n\n)Result: ")
_ASKS = re.compile(r"(?:You|Your|Judge|Write|Weigh|Answer|Score|Before)\b")
_MARKED_LINE = re.compile(rf"^{re.escape(MARK)}[^\n]*\n?", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """Something delivered to the agent under a heading."""

    label: str
    text: str

    def has_word(self, *words: str) -> bool:
        return any(word in self.label.lower() for word in words)

    @property
    def data(self) -> Json:
        """The text as JSON, None when it is not."""
        try:
            value: Json = json.loads(self.text)
        except (ValueError, RecursionError):
            return None
        return value


@dataclass(frozen=True)
class Brief:
    """A prompt, taken apart. `asked` is the closing instruction, `role` the system prompt."""

    role: str
    task: str
    sections: tuple[Section, ...]
    asked: str

    @property
    def sources(self) -> str:
        """What the work is about: results where there are some, else all sections, else the task itself."""
        draft = self.draft
        material = [
            section
            for section in self.sections
            if section is not draft and not section.has_word("draft", "last result", "feedback", "position")
        ]
        results = [after for section in material if (after := _result_in(section.text))]
        texts = results or [readable(section) for section in material]
        return "\n".join(texts) if any(texts) else self.task

    @property
    def draft(self) -> Section | None:
        """What is judged or revised: the section headed so, else the last one where the prompt asks about a draft."""
        named = self.section("draft", "last result")
        if named is not None or "draft" not in self.asked or not self.sections:
            return named
        return self.sections[-1]

    def section(self, *words: str) -> Section | None:
        """The last section whose heading has one of the words."""
        return next((section for section in reversed(self.sections) if section.has_word(*words)), None)


def read_prompt(request: ModelRequest) -> Brief:
    """The brief in a request's first message. Later ones only repeat what was wrong with an answer."""
    prompt = next((message.text for message in request.messages if message.role == "user"), "")
    body, asked = _split_closing(prompt)
    headings = list(_HEADING.finditer(body))
    starts = [heading.start() for heading in headings] + [len(body)]
    task = body[: starts[0]]
    sections = [
        Section(
            (heading["headed"] or heading["handed_on"]).strip(), body[heading.end() : end][:LONGEST_SECTION].strip()
        )
        for heading, end in zip(headings, starts[1:], strict=True)
    ]
    return Brief(request.system_prompt, _MARKED_LINE.sub("", task[:LONGEST_SECTION]).strip(), tuple(sections), asked)


def readable(section: Section) -> str:
    """The section as lines of text; JSON becomes `name: value` lines."""
    data = section.data
    text = section.text if data is None or isinstance(data, str) else "\n".join(_lines(data))
    return _MARKED_LINE.sub("", text)


def _split_closing(prompt: str) -> tuple[str, str]:
    start, _, last = prompt.rpartition("\n\n")
    return (start, last) if start and _ASKS.match(last) else (prompt, "")


def _result_in(text: str) -> str:
    found = list(_RESULT.finditer(text))
    return _MARKED_LINE.sub("", text[found[-1].end() :]) if found else ""


def _lines(value: Json, name: str = "") -> list[str]:
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _lines(item, key)]
    if isinstance(value, list):
        return [line for item in value for line in _lines(item, name)]
    shown = value if isinstance(value, str) else json.dumps(value)
    return [f"{name}: {shown}" if name and len(shown) <= LONGEST_LABELLED else shown]
