"""How the offline model debates: it takes an option or a sentence that suits its role, until another is much surer."""

import re
from collections.abc import Sequence

from executor.json_types import JsonObject
from executor.providers.offline.lexicon import related
from executor.providers.offline.material import Passage
from executor.providers.offline.picking import focus_on, pick
from executor.providers.offline.prompt import Brief
from executor.providers.offline.prose import sureness
from executor.providers.offline.words import list_items, words

#: Another position has to be so much surer to be taken over.
MARGIN = 0.15
REASONS = 2
LONGEST_OPTION = 80

_QUESTION = re.compile(
    r"(?:Should|Shall|Do|Does|Can|Could|Would|Will|Is|Are)\s+(?:we|I|you|they|it|this|the)\s+([^?\n]+ or [^?\n]+)\?"
)


def options_of(task: str) -> list[str]:
    """What a task gives to choose from: its list, or `Should we A, B, or C?`; [] where it leaves that open."""
    if listed := list_items(task):
        return listed
    asked = _QUESTION.search(task)
    if asked is None:
        return []
    parts = [part.strip() for part in re.split(r",?\s+or\s+|,\s*", asked[1])]
    return [part for part in parts if 0 < len(part) <= LONGEST_OPTION]


def take_position(brief: Brief, passages: Sequence[Passage]) -> JsonObject:
    """A position of its own: `answer`, `confidence`, `rationale`. Its reasons are sentences of the input."""
    focus = focus_on(brief.role or brief.task)
    quotable = [passage for passage in passages if not passage.is_code]
    options = options_of(brief.task)
    if options:
        answer = max(options, key=lambda option: len(focus.own & _spoken_for(option)))
        evidence = [passage for passage in quotable if passage.stems & _spoken_for(answer)]
        reasons, strength = pick(evidence or quotable, focus, REASONS), len(evidence)
    else:
        best, *reasons = pick(quotable, focus, 1 + REASONS) or [Passage("The input does not say.")]
        answer, strength = best.text, sum(focus.hits(best))
    said = " ".join(f"“{reason.text}”" for reason in reasons)
    return {
        "answer": answer,
        "confidence": round(0.5 + 0.45 * strength / (strength + 3), 2),
        "rationale": f"The input says: {said}"
        if said
        else "It is what the input says that comes closest to this role.",
    }


def revise_position(brief: Brief) -> JsonObject | None:
    """The own last position, or another one that is much surer. None before the first round of revision."""
    stated = [
        (section.label, section.data)
        for section in brief.positions
        if isinstance(section.data, dict) and "answer" in section.data
    ]
    if not stated:
        return None
    own = next((position for label, position in stated if label.lower().startswith("your")), stated[0][1])
    label, best = max(stated, key=lambda entry: (sureness(entry[1]), str(entry[1]["answer"])))
    if best["answer"] == own["answer"] or sureness(best) < sureness(own) + MARGIN:
        return {**own, "changed": False}
    why = f"Taken over from {label}, which is much surer."
    return {"answer": best["answer"], "confidence": sureness(best), "rationale": why, "changed": True}


def _spoken_for(option: str) -> frozenset[str]:
    """The option's own words and what belongs with them."""
    own = frozenset(words(option))
    return own.union(*related(own))
