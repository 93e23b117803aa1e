"""What the offline model writes: a title that says what it is, and under it sentences of the input, word for word."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from executor.json_types import JsonObject
from executor.providers.offline.material import MARK, Material, Passage, material_of, read_material
from executor.providers.offline.picking import Focus, about, focus_on, in_order, pick
from executor.providers.offline.prompt import Brief, Section
from executor.providers.offline.words import shorten

POINTS = 3
MOST_POINTS = 10
LONGEST_TITLE = 120
#: What feedback of this model begins with; after it the missing terms, with semicolons between.
MISSING = "Say what the input says about: "

_ORDERS = re.compile(r"(?:Write|Prepare|Draft|Compose)\s+(?:up\s+)?(?:(?:the|a|an|your)\s+)?", re.IGNORECASE)
#: In a role, a number alone is too often about a part (`the goal in one sentence`); a range is about the whole.
_COUNT = re.compile(r"\b(?:one|two|three|four) (?:or|to) (two|three|four|five) sentences?\b")
_LENGTH = re.compile(r"(one|two|three|four|five) sentences?\b")
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
_EACH = re.compile(
    r"\b(?:line an? \w+|one a line|one line an? \w+|list (?:each|every|all)|every \w+ once|timeline)\b", re.IGNORECASE
)


def write_text(brief: Brief) -> str:
    """The answer in prose: a debate's result, a revision where there is feedback on a draft, else what stands out."""
    if brief.positions:
        return _conclude(brief)
    if brief.judged is not None and brief.feedback:
        return _revise(brief, brief.judged)
    return _digest(brief, material_of_brief(brief))


def focus_of(brief: Brief) -> Focus:
    """What the agent looks for. What its task says to leave out holds for every role."""
    task = focus_on(brief.task)
    role = focus_on(brief.role) if brief.role else task
    return replace(role, shunned=role.shunned | (task.shunned - role.own))


def title_of(task: str) -> str:
    """`Write the brief about Orbit for its team. …` as `Brief about Orbit for its team`."""
    first = re.split(r"(?<=[.?!])\s|\n", task.strip(), maxsplit=1)[0].rstrip(" .:")
    title = shorten(_ORDERS.sub("", first, count=1) if _ORDERS.match(first) else first, LONGEST_TITLE)
    return title[:1].upper() + title[1:] or "Main points"


def sentences_wanted(description: str) -> int:
    """How many sentences a field asks for."""
    found = _LENGTH.match(description.lower())
    return 1 if found is None else _NUMBERS[found[1]]


def material_of_brief(brief: Brief) -> Material:
    """What there is to quote. Sections that the prompt's end names, and workers' results, are taken as one each."""
    named = [section for section in brief.material if section.label and section.label in brief.asked]
    return read_material(named or brief.material, known=brief.task, by_section=bool(named or brief.results))


def _digest(brief: Brief, material: Material) -> str:
    passages, groups, focus = material.passages, material.groups, focus_of(brief)
    if not passages:
        return _only_values(brief, material)
    if len(groups) == 1:
        return _list(brief, _points(passages, focus, brief.role), material)
    by_group = [pick([one for one in passages if one.group == group], focus, 2 * POINTS) for group in groups]
    chosen: list[Passage] = []
    # In turns, so that what two groups have in common does not always go to the first.
    for passage in (one for turn in zip_longest(*by_group) for one in turn if one is not None):
        so_far = sum(other.group == passage.group for other in chosen)
        if so_far < POINTS and not any(passage.repeats(other) for other in chosen):
            chosen.append(passage)
    return _list(brief, in_order(chosen, passages), material)


def _points(passages: Sequence[Passage], focus: Focus, role: str) -> list[Passage]:
    called_for = [passage for passage in passages if focus.calls_for(passage)]
    if found := _COUNT.search(role.lower()):
        # So few were asked for that only what is asked for counts, the most wanted first.
        return pick(called_for or passages, focus, _NUMBERS[found[1]])
    if len(called_for) > 1 and all(passage.is_item for passage in passages):
        return called_for[:MOST_POINTS]
    return in_order(pick(passages, focus, MOST_POINTS if _EACH.search(role) else POINTS), passages)


def _only_values(brief: Brief, material: Material) -> str:
    """An input without a sentence is told by its values."""
    values = [f"{name.capitalize()}: {value}" for name, value in material.facts.items()]
    if not values:
        return f"{MARK} The input holds no sentence to work with."
    return "\n".join([_title(brief), *(f"- {value}" for value in values[:MOST_POINTS])])


def _list(brief: Brief, chosen: Sequence[Passage], material: Material) -> str:
    """The passages under their headings. A heading that is the only one says nothing."""
    lines = [_title(brief)]
    groups = list(dict.fromkeys([*(passage.group for passage in chosen), *material.remarks]))
    for group in groups:
        if group and len(groups) > 1:
            remarks = ", ".join(dict.fromkeys(material.remarks.get(group, ())))
            lines += ["", f"{group}: {remarks}" if remarks else f"{group}:"]
        lines += [f"- {passage.shown}" for passage in chosen if passage.group == group]
    return "\n".join(lines)


def _title(brief: Brief) -> str:
    return f"{MARK} {title_of(brief.task)} (sentences picked from the input)"


# Revision


def _revise(brief: Brief, last: Section) -> str:
    """The draft with a passage of the source for each point of the feedback; unchanged when there is none to add."""
    source, draft = material_of_brief(brief), material_of(last.text)
    missing = [one for one in source.passages if not any(one.repeats(other) for other in draft.passages)]
    added: list[Passage] = []
    for point in _points_of_feedback(brief.feedback)[:MOST_POINTS]:
        found = about(point, missing)
        if found is not None:
            added.append(found)
            missing = [one for one in missing if not one.repeats(found)]
    if not added:
        return last.text
    kept = [passage for passage in draft.passages if not any(passage.text == other.text for other in source.passages)]
    texts = {passage.text for passage in (*draft.passages, *added)}
    return _list(brief, [*kept, *(passage for passage in source.passages if passage.text in texts)], source)


def _points_of_feedback(feedback: Sequence[Section]) -> list[str]:
    points: list[str] = []
    for section in feedback:
        listed = section.data.get("feedback") if isinstance(section.data, dict) else section.text
        for point in listed if isinstance(listed, list) else [listed]:
            text = str(point)
            points += text.removeprefix(MISSING).rstrip(".").split("; ") if text.startswith(MISSING) else [text]
    return list(dict.fromkeys(point.strip() for point in points if point.strip()))


# Debate


def _conclude(brief: Brief) -> str:
    stated: list[tuple[str, JsonObject]] = [
        (section.label, section.data)
        for section in brief.positions
        if isinstance(section.data, dict) and "answer" in section.data
    ]
    if not stated:
        return f"{MARK} No position was stated that could be read."
    by_answer: dict[str, list[tuple[str, JsonObject]]] = {}
    for label, position in stated:
        by_answer.setdefault(str(position["answer"]), []).append((label, position))
    ranked = sorted(by_answer.items(), key=lambda entry: (-len(entry[1]), -max(sureness(p) for _, p in entry[1])))
    lines = [f"{MARK} {title_of(brief.task)} (positions counted, not judged)"]
    for number, (answer, holders) in enumerate(ranked):
        names = "; ".join(f"{label}, {sureness(position):.0%} sure" for label, position in holders)
        heading = "All hold" if len(ranked) == 1 else "Result" if number == 0 else "Dissent"
        lines += ["", f"{heading}: {answer} ({names})"]
        reasons = dict.fromkeys(str(position.get("rationale", "")) for _, position in holders)
        lines += [f"- {reason}" for reason in reasons if reason]
    return "\n".join(lines)


def sureness(position: JsonObject) -> float:
    """How sure a position says it is, from 0 to 1; 0 where it does not say."""
    value = position.get("confidence", 0.0)
    return float(value) if isinstance(value, int | float) else 0.0
