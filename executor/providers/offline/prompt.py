"""How the offline model reads a prompt: a task, headed sections of input, and what is asked of it at the end.

It knows nothing of who wrote the prompt but the headings under which the patterns deliver things.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from executor.json_types import Json
from executor.providers.contract import ModelRequest

# The model reads so much of a section, and so much of them all. It is a demonstration, and shares an event loop with
# real work.
LONGEST_SECTION = 50_000
LONGEST_PROMPT = 200_000
LONGEST_ROLE = 10_000
MOST_SECTIONS = 200

_HEADING = re.compile(r"^## ([^\n]+)\n", re.MULTILINE)
# `From …:` is how this model itself hands material on inside an instruction.
_HANDED_ON = re.compile(r"^From ([^\n:]{1,80}):\n", re.MULTILINE)
# A task that brings its own material says so: `The message: …`, `The author says: …`, `The contract:` and a new line.
_BROUGHT_ALONG = re.compile(
    r"(?:^|(?<=[.!?]\s)|(?<=\n))(?:The|Their|This)((?: [\w-]+){1,3}?)(?: says?| said| wrote| writes)?:\s"
    r"(?!\s*[-*•] )",  # a list is a part of the task: what it asks for, or what to choose from
    re.MULTILINE,
)
_RESULT = re.compile(r"(?:\A|\n\n)Result: ")
_ASKS = re.compile(r"(?:You|Your|Judge|Write|Weigh|Answer|Score|Before)\b")

_DRAFT = re.compile(r"(?:your last )?(?:draft|result)", re.IGNORECASE)
_FEEDBACK = re.compile(r"feedback(?: (?:of|on) .+)?", re.IGNORECASE)
_POSITION = re.compile(r"your last position|position [A-Z]+", re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(?:your )?assignment \d+, for (?P<worker>.+?)(?:: \w+)?", re.IGNORECASE)
_RESULT_OF = re.compile(r"result of assignment \d+(?:, by .+)?", re.IGNORECASE)
_FAILURE = re.compile(r".+ has failed")


@dataclass(frozen=True)
class Section:
    """Something delivered to the agent under a heading."""

    label: str
    text: str

    @cached_property
    def data(self) -> Json:
        """The text as JSON, None when it is not."""
        if self.text[:1] not in ("{", "[", '"'):
            return None
        try:
            value: Json = json.loads(self.text)
        except (ValueError, RecursionError):
            return None
        return value


@dataclass(frozen=True)
class Brief:
    """A prompt, taken apart. `asked` is the closing instruction, `role` the system prompt.

    `results` are what workers delivered, under their names; `worked` names those that have an assignment already.
    """

    role: str
    task: str
    sections: tuple[Section, ...]
    asked: str
    results: tuple[Section, ...] = ()
    worked: frozenset[str] = frozenset()

    @cached_property
    def material(self) -> tuple[Section, ...]:
        """What the work is about: results where there are some, else all but drafts and what is said of them."""
        judged = self.judged
        others = (section for section in self.sections if section is not judged and not _is_about_the_work(section))
        return self.results or tuple(others)

    @cached_property
    def judged(self) -> Section | None:
        """What is judged or revised: the section headed so, else the last one where the prompt asks about a draft."""
        for kind in (_DRAFT, _RESULT_OF):
            if (found := self._last(kind)) is not None:
                return found
        return self.sections[-1] if "draft" in self.asked and self.sections else None

    @property
    def feedback(self) -> list[Section]:
        return [section for section in self.sections if _FEEDBACK.fullmatch(section.label)]

    @property
    def positions(self) -> list[Section]:
        return [section for section in self.sections if _POSITION.fullmatch(section.label)]

    @property
    def has_failure(self) -> bool:
        return any(_FAILURE.fullmatch(section.label) for section in self.sections)

    def _last(self, kind: re.Pattern[str]) -> Section | None:
        return next((section for section in reversed(self.sections) if kind.fullmatch(section.label)), None)


def read_prompt(request: ModelRequest) -> Brief:
    """The brief in a request's first message. Later ones only repeat what was wrong with an answer."""
    prompt = next((message.text for message in request.messages if message.role == "user"), "")
    body, asked = _split_closing(prompt)
    head, *delivered = _split_by(_HEADING, body)
    task, *handed_on = _split_by(_HANDED_ON, head.text)
    task, *brought_along = _split_by(_BROUGHT_ALONG, task.text[:LONGEST_SECTION])
    sections, results, worked = _take_out_assignments([*handed_on, *delivered])
    known = tuple(_within_bounds([*brought_along, *sections]))
    return Brief(request.system_prompt[:LONGEST_ROLE], task.text, known, asked, tuple(_within_bounds(results)), worked)


def _split_closing(prompt: str) -> tuple[str, str]:
    start, _, last = prompt.rpartition("\n\n")
    return (start, last) if start and _ASKS.match(last) else (prompt, "")


def _split_by(heading: re.Pattern[str], text: str) -> list[Section]:
    """What stands before the first heading, without a label, and the section under each."""
    found = list(islice(heading.finditer(text), MOST_SECTIONS))
    ends = [one.start() for one in found] + [len(text)]
    parts = [Section("", text[: ends[0]].strip())]
    for one, end in zip(found, ends[1:], strict=True):
        parts.append(Section(one[1].strip(), text[one.end() : end].strip()))
    return parts


def _take_out_assignments(sections: Sequence[Section]) -> tuple[list[Section], list[Section], frozenset[str]]:
    """The sections without the assignments and what is delivered in them; the workers' results; the workers' names."""
    others: list[Section] = []
    results: list[Section] = []
    worked: set[str] = set()
    worker = ""
    for section in sections:
        if (assignment := _ASSIGNMENT.fullmatch(section.label)) is not None:
            worker = assignment["worker"]
            worked.add(worker)
        elif not worker or _is_about_the_work(section):
            worker = ""
            others.append(section)
        if worker and (found := list(_RESULT.finditer(section.text))):
            results.append(Section(worker, section.text[found[-1].end() :]))
            worker = ""
    return others, results, frozenset(worked)


def _is_about_the_work(section: Section) -> bool:
    kinds = (_DRAFT, _FEEDBACK, _POSITION, _ASSIGNMENT, _RESULT_OF, _FAILURE)
    return any(kind.fullmatch(section.label) for kind in kinds)


def _within_bounds(sections: Sequence[Section]) -> Iterator[Section]:
    left = LONGEST_PROMPT
    for section in sections:
        text = section.text[: min(LONGEST_SECTION, left)]
        left -= len(text)
        yield section if len(text) == len(section.text) else Section(section.label, text)
