"""What the offline model answers when JSON is asked for: the schema says the shape, names and words say the values.

It goes by the names of fields and by their types, enums and bounds alone; it knows nothing of who asks.
"""

import re
from collections.abc import Mapping, Sequence

from executor.json_types import Json, JsonObject
from executor.providers.offline import schema as shape
from executor.providers.offline.choice import Choice, Choices, confidence, list_options, rank_choices
from executor.providers.offline.effort import Effort
from executor.providers.offline.material import Passage, material_of
from executor.providers.offline.picking import Focus, focus_on, in_order, key_terms, pick, themes
from executor.providers.offline.positions import revise_position, take_position
from executor.providers.offline.prompt import Brief
from executor.providers.offline.prose import material_of_brief, sentences_wanted, title_of
from executor.providers.offline.review import judging
from executor.providers.offline.words import list_items, overlap, shorten, words

# From here on down, objects hold what they must and lists as little as they may: schemas can be recursive.
DEEPEST = 4
LONGEST_NAME = 70
TEXTS = 3
NOT_SAID = "not stated"

EXPLAINS = ("reason", "rationale", "why", "justification", "explanation", "evidence")
SCORES = ("score", "rating", "quality", "grade")
SURENESS = ("confidence", "probability", "likelihood", "certainty")
FINISHED = ("done", "finished", "complete", "passed", "approved", "valid", "ok")
INSTRUCTS = ("instruction", "instructions", "assignment", "todo", "subtask", "action")
FEEDBACK = ("feedback", "suggestions", "improvements", "changes")
PLANS = ("plan", "approach", "strategy")
TITLES = ("title", "subject", "headline", "name")
TERMS = ("keywords", "tags", "themes", "topics", "terms", "labels", "categories", "theme", "topic", "keyword")

_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?")
_KIND_IN_FRONT = re.compile(r"\b(?:kind|type|category|label)\b.*\bin front\b", re.IGNORECASE)
_IS_PHRASE = re.compile(r"\b(?:noun|short|few words|phrase)\b", re.IGNORECASE)
#: A change as developers write it: `feat(api): new field`.
_TYPED = re.compile(r"(\w+)(?:\(([\w -]+)\))?!?:\s+(.+)")


class Composer:
    """Writes one JSON answer for one prompt."""

    def __init__(
        self,
        brief: Brief,
        schema: JsonObject,
        *,
        effort: Effort | None = None,
        passage: Passage | None = None,
        said: str | None = None,
    ) -> None:
        """With a `passage` all values are read from it alone. What is `said` already is no other field's value."""
        self._brief = brief
        self._root = schema
        self._effort = effort or Effort()
        self._material = material_of_brief(brief) if passage is None else material_of(passage.whole or passage.text)
        self._judging = judging(brief) if passage is None else None
        self._said = said

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

    # Objects

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        properties = shape.properties_of(schema)
        if depth >= DEEPEST:
            properties = {name: properties[name] for name in shape.required_of(schema) if name in properties}
        known = self._position(properties) or self._explained_choice(properties)
        return {name: self._known_or_new(known.get(name), part, name, depth) for name, part in properties.items()}

    def _known_or_new(self, known: Json, schema: Json, name: str, depth: int) -> Json:
        """What is known already, bent to fit; a new value where nothing is, or something of another type."""
        if known is not None:
            resolved = self._resolve(schema)
            fitted = known if known in shape.enum_of(resolved) else shape.fit(known, resolved, self._effort)
            if fitted is not None:
                return fitted
        return self._value(schema, name, depth + 1)

    def _position(self, properties: Mapping[str, Json]) -> JsonObject:
        """Where a position in a debate is asked for: the last one or another, or one of its own."""
        if not self._is_open_text(properties.get("answer", False)):
            return {}
        if not any(name in properties for name in SURENESS):
            return {}
        position = revise_position(self._brief) or take_position(self._brief, self._material.passages)
        why, sure = position.get("rationale"), position.get("confidence")
        return {**dict.fromkeys(EXPLAINS, why), **dict.fromkeys(SURENESS, sure), **position}

    def _explained_choice(self, properties: Mapping[str, Json]) -> JsonObject:
        """Where there is one thing to choose: the choice, and why."""
        choosers = {name: options for name, part in properties.items() if (options := self._options(part))}
        if len(choosers) != 1:
            return {}
        [(name, options)] = choosers.items()
        choice = self._choices(options)[0]
        return {**self._explained(choice), name: choice.value}

    def _explained(self, choice: Choice) -> JsonObject:
        return dict.fromkeys(EXPLAINS, choice.why)

    def _options(self, schema: Json) -> list[Json]:
        return shape.enum_of(self._resolve(schema))

    def _is_open_text(self, schema: Json) -> bool:
        resolved = self._resolve(schema)
        is_text = bool(resolved) and shape.type_of(resolved) == "string"
        return is_text and not shape.enum_of(resolved) and not shape.alternatives_of(resolved)

    # Lists

    def _array(self, schema: JsonObject, name: str, depth: int) -> Json:
        low, high = shape.length_bounds(schema)
        items = self._resolve(shape.items_of(schema))
        about = f"{shape.description_of(schema)} {shape.description_of(items)}"
        values = self._items(items, name, about, depth, high)[:high] if depth < DEEPEST else []
        while len(values) < low:
            values.append(self._value(items, name, depth + 1))
        return values

    def _items(self, items: JsonObject, name: str, about: str, depth: int, high: int) -> list[Json]:
        if options := shape.enum_of(items):
            return [choice.value for choice in self._choices(options) if choice.hits] or [options[0]]
        if "const" in items or shape.alternatives_of(items):
            return [self._value(items, name, depth + 1)]
        kind = shape.type_of(items)
        if kind == "object":
            return self._records(items, depth, high)
        if kind == "string":
            return [shape.fit_text(text, items, self._effort) for text in self._texts(name, about)[:high]]
        return []

    def _records(self, items: JsonObject, depth: int, high: int) -> list[Json]:
        """One for each value of an enum in it, or for each part of the task, or for each point of the input."""
        parts = {name: self._resolve(part) for name, part in shape.properties_of(items).items()}
        chooser = next((name for name, part in parts.items() if shape.enum_of(part)), None)
        instructs = next((name for name in parts if name in INSTRUCTS), None)
        main = next((name for name, part in parts.items() if name not in EXPLAINS and self._is_open_text(part)), None)
        if chooser is not None and instructs is not None:
            return self._assignments(items, chooser, instructs, self._choices(shape.enum_of(parts[chooser])), depth)
        if main is not None and chooser is None and any(name in parts for name in SCORES):
            return [self.record(items, depth, {main: "covers the input"})]
        if main is not None:
            points = self._points(main, shape.description_of(parts[main]), min(high, shape.LONGEST_LIST))
            return [self._about(passage, text).record(items, depth, {main: text}) for text, passage in points]
        if chooser is not None:
            choices = self._choices(shape.enum_of(parts[chooser]))
            return [self.record(items, depth, {chooser: choice.value}, choice) for choice in choices]
        return [self._value(items, "", depth + 1)]

    def _points(self, main: str, about: str, most: int) -> list[tuple[str, Passage]]:
        """What the records of a list are about, each with the passage that it comes from."""
        passages = self._material.passages
        if main in TERMS or _IS_PHRASE.search(about):
            return themes(passages, most)
        items = [passage for passage in passages if passage.is_item]
        chosen = items or in_order(pick(passages, self._focus(main, about), TEXTS), passages)
        return [(passage.text, passage) for passage in chosen]

    def _about(self, passage: Passage, said: str) -> "Composer":
        return Composer(self._brief, self._root, effort=self._effort, passage=passage, said=said)

    def _assignments(self, items: JsonObject, chooser: str, instructs: str, choices: Choices, depth: int) -> list[Json]:
        """The task's list items, each for whom it suits best; without a list, the whole task for each who is idle."""
        idle = [choice for choice in choices if str(choice.value) not in self._brief.worked]
        if not idle or len(idle) < len(choices):
            given = [(self._brief.task, choice) for choice in idle if self._is_called_for(str(choice.value))]
        elif parts := list_items(self._brief.task):
            given = [(part, self._suited(part, idle, place)) for place, part in enumerate(parts)]
        else:
            given = [(self._brief.task, choice) for choice in idle]
        return [
            self.record(items, depth, {chooser: choice.value, instructs: self._instruction(part)}, choice)
            for part, choice in given
        ]

    def _is_called_for(self, name: str) -> bool:
        """Whether the closing instruction names it elsewhere than in a list."""
        return any(name in line for line in self._brief.asked.splitlines() if not line.startswith("- "))

    def _suited(self, part: str, choices: Choices, place: int) -> Choice:
        ranked = rank_choices([choice.value for choice in choices], part, self._brief)
        return ranked[0] if ranked[0].hits else choices[place % len(choices)]

    def _instruction(self, part: str) -> str:
        whole = self._brief.task
        lead = part if part == whole else f"{part}\n\nThis is a part of the task: {title_of(whole)}"
        inputs = [f"From {section.label}:\n{section.text}" for section in self._brief.material]
        return "\n\n".join([lead, *inputs]) or "Do your part of the task."

    def record(self, items: JsonObject, depth: int, known: JsonObject, choice: Choice | None = None) -> JsonObject:
        """One object of a list, with the values that are known already."""
        if choice is not None:
            known = {**self._explained(choice), **known}
        record: JsonObject = {}
        for name, part in shape.properties_of(items).items():
            if choice is not None and name in SURENESS:
                sure = shape.scale(confidence(choice), self._resolve(part))
                record[name] = self._known_or_new(sure, part, name, depth)
            elif name in SCORES and self._judging is not None and isinstance(scored := record.get("name"), str):
                share = shape.scale(self._judging.score(scored), self._resolve(part))
                record[name] = self._known_or_new(share, part, name, depth)
            else:
                record[name] = self._known_or_new(known.get(name), part, name, depth)
        return record

    # Single values

    def _choices(self, options: Sequence[Json]) -> Choices:
        judged = self._brief.judged
        return rank_choices(options, self._material.text if judged is None else judged.text, self._brief)

    def _focus(self, name: str, description: str) -> Focus:
        return focus_on(f"{name.replace('_', ' ')}. {description}")

    def _text(self, name: str, description: str) -> str:
        passages = self._material.passages
        if name in EXPLAINS:
            terms = ", ".join(key_terms(passages, 3))
            return f"What stands out in the input: {terms}." if terms else "The input holds no words."
        if name in PLANS:
            return "Each part of the task goes to whom its words suit best; what all need goes with it."
        if name in FEEDBACK:
            return "" if "otherwise empty" in description.lower() else " ".join(self._feedback())
        if name in TITLES:
            return self._title()
        if (given := self._material.fact(name)) is not None:
            return given
        if name in TERMS or _IS_PHRASE.search(description):
            return next((term for term, _ in themes(passages, 1)), "")
        chosen = pick(passages, self._focus(name, description), sentences_wanted(description))
        text = " ".join(passage.text for passage in in_order(chosen, passages))
        return NOT_SAID if text == self._said else text

    def _texts(self, name: str, description: str) -> list[str]:
        passages = self._material.passages
        if name in FEEDBACK:
            return self._feedback()
        if name in TERMS:
            return key_terms(passages, 5)
        items = [passage for passage in passages if passage.is_item]
        if items and _KIND_IN_FRONT.search(description) and list_options(self._brief.role):
            return [self._with_kind(passage.text) for passage in items]
        focus = self._focus(name, description)
        if focus.groups:  # it is known what speaks of this; where nothing does, there is none
            return [passage.text for passage in passages if focus.calls_for(passage)]
        chosen = items or pick(passages, focus_on(self._brief.role), TEXTS)
        return [passage.text for passage in in_order(chosen, passages)]

    def _with_kind(self, item: str) -> str:
        """`feat(api): new field` as `new: new field (api)`, by the kinds that the role lists."""
        kinds: list[Json] = [name for name, _ in list_options(self._brief.role)]
        kind = rank_choices(kinds, item, self._brief)[0].value
        typed = _TYPED.fullmatch(item)
        if typed is None:
            return f"{kind}: {item}"
        return f"{kind}: {typed[3]} ({typed[2]})" if typed[2] else f"{kind}: {typed[3]}"

    def _feedback(self) -> list[str]:
        return [] if self._judging is None else self._judging.feedback()

    def _title(self) -> str:
        facts = (self._material.fact(name) for name in ("title", "subject", "question", "name"))
        given = next((fact for fact in facts if fact), None)
        best = pick(self._material.passages, focus_on(self._brief.role), 1)
        return shorten(given or (best[0].text.rstrip(".") if best else title_of(self._brief.task)), LONGEST_NAME)

    def _truth(self, name: str) -> bool:
        if name in FINISHED:
            return True
        if name == "changed":
            return False
        given = (self._material.fact(name) or "").lower()
        if given in ("true", "yes", "false", "no"):
            return given in ("true", "yes")
        return bool(self._choices([name])[0].hits)

    def _number(self, name: str, schema: JsonObject) -> float:
        if name in SCORES:
            return shape.scale(self._sureness() if self._judging is None else self._judging.score(name), schema)
        if name in SURENESS:
            return shape.scale(self._sureness(), schema)
        found = _NUMBER.search(self._material.fact(name) or "")
        return float(found[0].replace(",", ".")) if found else 0.0

    def _sureness(self) -> float:
        """How much of the input this agent's role is about."""
        shared = len(overlap(words(self._brief.role), words(self._material.text)))
        return round(0.5 + 0.45 * shared / (shared + 3), 2)
