"""What the offline model answers when JSON is asked for: the schema says the shape, names and words say the values.

It goes by the names of fields and by their types, enums and bounds alone; it knows nothing of who asks.
"""

import copy
import re
from collections.abc import Mapping, Sequence

from executor.json_types import Json, JsonObject
from executor.providers import offline_schema as shape
from executor.providers.offline_choice import Choice, Choices, confidence, rank_choices
from executor.providers.offline_effort import Effort
from executor.providers.offline_prompt import Brief
from executor.providers.offline_text import (
    coverage,
    key_terms,
    list_items,
    missing_terms,
    overlap,
    pick_sentences,
    rank_sentences,
    words,
)

# From here on down, objects hold what they must and lists as little as they may: schemas can be recursive.
DEEPEST = 4
TERMS_AT_A_TIME = 3

EXPLAINS = ("reason", "rationale", "why", "justification", "explanation", "evidence")
SCORES = ("score", "rating", "quality", "grade")
SURENESS = ("confidence", "probability", "likelihood", "certainty")
FINISHED = ("done", "finished", "complete", "passed", "approved", "valid", "ok")
INSTRUCTS = ("instruction", "instructions", "assignment", "todo", "subtask", "action")
FEEDBACK = ("feedback", "suggestions", "improvements", "changes")
PLANS = ("plan", "approach", "strategy")
TERMS = ("keywords", "tags", "themes", "topics", "terms", "labels", "categories")

_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?")


class Composer:
    """Writes one JSON answer for one prompt."""

    def __init__(self, brief: Brief, schema: JsonObject) -> None:
        self._brief = brief
        self._root = schema
        self._effort = Effort()
        self._source = brief.sources
        judged = brief.draft or brief.section("result")
        self._draft = "" if judged is None else judged.text

    def compose(self) -> Json:
        """The answer. Raises `ModelCallError` where the schema asks for more than one answer may cost."""
        return self._value(self._root, "", 0)

    def _resolve(self, schema: Json) -> JsonObject:
        return shape.resolve(schema, self._root, self._effort)

    def _value(self, schema: Json, name: str, depth: int) -> Json:
        self._effort.spend_value()
        resolved = self._resolve(schema)
        if "const" in resolved:
            return self._given(resolved["const"])
        if options := shape.enum_of(resolved):
            return self._given(self._choices(options)[0].value)
        if alternatives := shape.alternatives_of(resolved):
            return self._alternative(resolved, alternatives, name, depth)
        match shape.type_of(resolved):
            case "object":
                return self._object(resolved, depth)
            case "array":
                return self._array(resolved, name, depth)
            case "string":
                return shape.fit_text(self._text(name, shape.description_of(resolved)), resolved, self._effort)
            case "boolean":
                return self._truth(name)
            case "integer" | "number" as kind:
                return shape.fit_number(self._number(name, resolved), resolved, whole=kind == "integer")
            case _:
                return None

    def _given(self, value: Json) -> Json:
        self._effort.spend_given(value)
        return value

    def _alternative(self, schema: JsonObject, alternatives: Sequence[Json], name: str, depth: int) -> Json:
        optional = any(shape.type_of(self._resolve(option)) == "null" for option in alternatives)
        if optional and "null" in shape.description_of(schema).lower():
            return None  # its own description says when it stays empty
        real = [option for option in alternatives if shape.type_of(self._resolve(option)) != "null"]
        return self._value(real[0], name, depth) if real else None

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        properties = shape.properties_of(schema)
        if depth >= DEEPEST:
            properties = {name: properties[name] for name in shape.required_of(schema) if name in properties}
        held = self._held_position(properties)
        return {name: self._known_or_new(held.get(name), part, name, depth) for name, part in properties.items()}

    def _known_or_new(self, known: Json, schema: Json, name: str, depth: int) -> Json:
        """What is known already, bent to fit; a new value where nothing is, or something of another type."""
        resolved = self._resolve(schema)
        fitted = None if known is None else shape.fit(known, resolved, self._effort)
        return self._value(schema, name, depth + 1) if fitted is None else fitted

    # Positions: where earlier ones with the same fields are on the table, the surest of them is taken over.

    def _held_position(self, properties: Mapping[str, Json]) -> JsonObject:
        if not _is_open_text(self._resolve(properties.get("answer", False))):
            return {}
        if not any(name in properties for name in SURENESS):
            return {}
        stated = [
            (section.label, data)
            for section in self._brief.sections
            if isinstance(data := section.data, dict) and "answer" in data
        ]
        if not stated:
            return {}
        label, best = max(stated, key=lambda entry: (_sureness(entry[1]), str(entry[1]["answer"])))
        own = next((data for label_, data in stated if "your" in label_.lower()), best)
        changed = own["answer"] != best["answer"]
        why = f"Taken over from {label}, which is the surest." if changed else "No other position is surer."
        return {"answer": best["answer"], "changed": changed, **dict.fromkeys(EXPLAINS, why)} | {
            name: best[name] for name in SURENESS if name in best
        }

    # Lists

    def _array(self, schema: JsonObject, name: str, depth: int) -> Json:
        low, high = shape.length_bounds(schema)
        items = self._resolve(shape.items_of(schema))
        values = self._items(items, name, depth, high)[:high] if depth < DEEPEST else []
        while len(values) < low:
            values.append(self._value(items, name, depth + 1))
        return values

    def _items(self, items: JsonObject, name: str, depth: int, high: int) -> list[Json]:
        if options := shape.enum_of(items):
            return [choice.value for choice in self._choices(options) if choice.hits] or [options[0]]
        if "const" in items or shape.alternatives_of(items):
            return [self._value(items, name, depth + 1)]
        kind = shape.type_of(items)
        if kind == "object":
            return self._records(items, depth, high)
        if kind == "string":
            return [
                shape.fit_text(text, items, self._effort)
                for text in self._texts(name, shape.description_of(items))[:high]
            ]
        return []

    def _records(self, items: JsonObject, depth: int, high: int) -> list[Json]:
        """One for each value of an enum in it, or for each part of the task, or for each point of the input."""
        parts = {name: self._resolve(part) for name, part in shape.properties_of(items).items()}
        chooser = next((name for name, part in parts.items() if shape.enum_of(part)), None)
        instructs = next((name for name in parts if name in INSTRUCTS), None)
        main = next((name for name, part in parts.items() if name not in EXPLAINS and _is_open_text(part)), None)
        if chooser is not None and instructs is not None:
            return self._assignments(items, chooser, instructs, self._choices(shape.enum_of(parts[chooser])), depth)
        if main is not None and chooser is None and any(name in parts for name in SCORES):
            return [self._record(items, depth, {main: "covers the input"}, None)]
        if main is not None:
            return [self._record_about(point, items, main, depth) for point in self._points()[:high]]
        if chooser is not None:
            choices = self._choices(shape.enum_of(parts[chooser]))
            return [self._record(items, depth, {chooser: choice.value}, choice) for choice in choices]
        return [self._value(items, "", depth + 1)]

    def _points(self) -> list[str]:
        return list_items(self._source) or pick_sentences(self._brief)

    def _record_about(self, point: str, items: JsonObject, main: str, depth: int) -> JsonObject:
        """A record whose other fields are read from the one point that it is about."""
        narrowed = copy.copy(self)
        narrowed._source, narrowed._draft = point, ""  # noqa: SLF001 - a copy of this very object
        return narrowed._record(items, depth, {main: point}, None)  # noqa: SLF001

    def _assignments(self, items: JsonObject, chooser: str, instructs: str, choices: Choices, depth: int) -> list[Json]:
        """The task's list items, each for whom it suits best; without a list, the whole task for each who is idle."""
        idle = [choice for choice in choices if not self._has_worked(str(choice.value))]
        if not idle or len(idle) < len(choices):
            given = [(self._brief.task, choice) for choice in idle if self._is_called_for(str(choice.value))]
        elif parts := list_items(self._brief.task):
            given = [(part, self._suited(part, idle, place)) for place, part in enumerate(parts)]
        else:
            given = [(self._brief.task, choice) for choice in idle]
        return [
            self._record(items, depth, {chooser: choice.value, instructs: self._instruction(part)}, choice)
            for part, choice in given
        ]

    def _has_worked(self, name: str) -> bool:
        return any(f"for {name}:" in section.label for section in self._brief.sections)

    def _is_called_for(self, name: str) -> bool:
        """Whether the closing instruction names it elsewhere than in a list."""
        return any(name in line for line in self._brief.asked.splitlines() if not line.startswith("- "))

    def _suited(self, part: str, choices: Choices, place: int) -> Choice:
        ranked = rank_choices([choice.value for choice in choices], part, self._brief)
        return ranked[0] if ranked[0].hits else choices[place % len(choices)]

    def _instruction(self, part: str) -> str:
        lead = part if part == self._brief.task else f"{part}\n\nThis is a part of the task: {self._lead()}"
        inputs = [
            f"From {section.label}:\n{section.text}"
            for section in self._brief.sections
            if not section.has_word("assignment")
        ]
        return "\n\n".join([lead, *inputs]) or "Do your part of the task."

    def _lead(self) -> str:
        return self._brief.task.strip().split("\n", 1)[0]

    def _record(self, items: JsonObject, depth: int, known: JsonObject, choice: Choice | None) -> JsonObject:
        if choice is not None:
            known = {**dict.fromkeys(EXPLAINS, choice.why), **known}
        record: JsonObject = {}
        for name, part in shape.properties_of(items).items():
            if choice is not None and name in SURENESS:
                sure = shape.scale(confidence(choice), self._resolve(part))
                record[name] = self._known_or_new(sure, part, name, depth)
            else:
                record[name] = self._known_or_new(known.get(name), part, name, depth)
        return record

    # Single values

    def _choices(self, options: Sequence[Json]) -> Choices:
        return rank_choices(options, self._draft or self._source, self._brief)

    def _text(self, name: str, description: str) -> str:
        if name in EXPLAINS:
            terms = ", ".join(key_terms(self._source, 3))
            return f"The words that stand out in the input: {terms}." if terms else "The input holds no words."
        if name in PLANS:
            return "Give each part of the task to whom its words suit best."
        if name in FEEDBACK:
            return "; ".join(self._feedback())
        if name in ("title", "subject", "headline", "name"):
            return self._title()
        if (labelled := self._labelled(name)) is not None:
            return labelled
        focus = f"{name.replace('_', ' ')} {description} {self._brief.role}"
        return next(iter(rank_sentences(self._options() or self._source, focus)), "")

    def _options(self) -> str:
        """The task's own list, when it gives one to choose from."""
        return "\n".join(f"- {item}" for item in list_items(self._brief.task))

    def _texts(self, name: str, description: str) -> list[str]:
        if name in FEEDBACK:
            return self._feedback()
        if name in TERMS:
            return key_terms(self._source, 5)
        about = f"{name.replace('_', ' ')} {description}"
        return list_items(self._source) or rank_sentences(self._source, about)[:3]

    def _feedback(self) -> list[str]:
        missing = missing_terms(self._draft, self._source) if self._draft else []
        return [f"Cover: {', '.join(missing[:TERMS_AT_A_TIME])}"] if missing else []

    def _title(self) -> str:
        return " ".join(key_terms(self._source, 4)).capitalize() or "Untitled"

    def _labelled(self, name: str) -> str | None:
        """What stands behind `name:` in the input."""
        pattern = rf"^\W*{re.escape(name).replace('_', '[ _-]')}\s*[:=]\s*(.+)$"
        found = re.search(pattern, self._source, re.IGNORECASE | re.MULTILINE) if name else None
        return None if found is None else found[1].strip()

    def _truth(self, name: str) -> bool:
        if name in FINISHED:
            return True
        if name == "changed":
            return False
        labelled = (self._labelled(name) or "").lower()
        if labelled in ("true", "yes", "false", "no"):
            return labelled in ("true", "yes")
        return bool(self._choices([name])[0].hits)

    def _number(self, name: str, schema: JsonObject) -> float:
        if name in SCORES:
            return shape.scale(self._score(), schema)
        if name in SURENESS:
            return shape.scale(self._sureness(), schema)
        labelled = self._labelled(name)
        found = _NUMBER.search(labelled or "")
        return float(found[0].replace(",", ".")) if found else 0.0

    def _score(self) -> float:
        """How much of the input's key terms the draft covers, from 0.4 upwards: it rises as feedback is addressed."""
        return round(0.4 + 0.6 * coverage(self._draft, self._source), 2) if self._draft else self._sureness()

    def _sureness(self) -> float:
        """How much of the input this agent's role is about."""
        shared = len(overlap(words(self._brief.role), words(self._source)))
        return round(0.5 + 0.45 * shared / (shared + 3), 2)


def _is_open_text(schema: JsonObject) -> bool:
    return (
        bool(schema)
        and shape.type_of(schema) == "string"
        and not shape.enum_of(schema)
        and not shape.alternatives_of(schema)
    )


def _sureness(position: JsonObject) -> float:
    value = next((position[name] for name in SURENESS if name in position), 0.0)
    return float(value) if isinstance(value, int | float) else 0.0
