"""What `offline:demo` writes can be read by somebody who has never seen a prompt or a schema."""

import json
from typing import Any

import pytest

from executor.json_types import Json, JsonObject
from executor.patterns.debate import OPENING, REVISION, SYNTHESIS, Position, Revision
from executor.prompts import Delivery, write_prompt
from executor.providers.contract import Message, ModelRequest
from executor.providers.offline.model import OfflineModel
from executor.providers.offline.prompt import LONGEST_PROMPT, MOST_SECTIONS, read_prompt
from executor.spec import AgentSettings

MODEL = OfflineModel("offline:demo")
DIFF = "@@ -1,3 +1,5 @@ def charge():\n-    return post(card)\n+    log.info('charging %s', card)\n+    retry(5)\n"


async def write(task: str, system: str = "", instruction: str = "", **material: Json) -> str:
    return (await MODEL.complete(request(task, system, instruction, None, material))).text


async def compose(schema: JsonObject, task: str, system: str = "", instruction: str = "", **material: Json) -> Any:
    return json.loads((await MODEL.complete(request(task, system, instruction, schema, material))).text)


def request(
    task: str, system: str, instruction: str, schema: JsonObject | None, material: dict[str, Json]
) -> ModelRequest:
    deliveries = [Delivery(label.replace("_", " "), value) for label, value in material.items()]
    prompt = write_prompt(task=task, deliveries=deliveries, instruction=instruction)
    return ModelRequest(system, (Message("user", prompt),), AgentSettings(), schema)


def of_texts(name: str, description: str = "") -> JsonObject:
    items: JsonObject = {"type": "array", "items": {"type": "string"}, "description": description}
    return {"type": "object", "properties": {name: items}, "required": [name]}


async def test_fields_of_json_do_not_show() -> None:
    ticket: Json = {
        "customer_id": "C-17",
        "plan": "business",
        "message": "The export fails. Please send me the report.",
    }
    text = await write("Write the reply to Dana.", Input=ticket)
    assert text.splitlines() == [
        "[offline demo] Reply to Dana (sentences picked from the input)",
        "- The export fails.",
        "- Please send me the report.",
    ]


@pytest.mark.parametrize(
    ("task", "title"),
    [
        ("Write the weekly brief about Orbit for its team. Use the analyses.", "Weekly brief about Orbit for its team"),
        ("Should we sign?", "Should we sign?"),
        ("Review the change 'Retry'. The diff:\n\n@@ -1 +1 @@\n+x = 1", "Review the change 'Retry'"),
        ("", "Main points"),
        ("Write " + "very " * 100 + "much.", "Very very"),
    ],
)
async def test_the_title_is_what_was_asked_for(task: str, title: str) -> None:
    first = (await write(task, Input="The server is down since Monday.")).splitlines()[0]
    assert first.startswith(f"[offline demo] {title}")
    assert len(first) < 200


async def test_what_several_agents_found_stands_under_their_names_each_thing_once() -> None:
    read: Json = {
        "Mood analyst": {"overall": "mixed", "quotes": ["The new export is great.", "Login fails on Safari."]},
        "Theme analyst": {"themes": [{"theme": "Price", "example": "Too expensive for small teams."}]},
    }
    text = await write("Write the brief.", "You write briefs.", Read_the_comments=read)
    assert text.splitlines() == [
        "[offline demo] Brief (sentences picked from the input)",
        "",
        "Mood analyst: mixed",
        "- The new export is great.",
        "- Login fails on Safari.",
        "",
        "Theme analyst:",
        "- Price: Too expensive for small teams.",
    ]


async def test_what_it_wrote_before_is_read_without_its_title_and_bullets() -> None:
    first = await write("Write the notes.", "You list each change.", Input="The export is new. The timer is faster.")
    text = await write("Write the summary.", Notes=first, Input="The export is new. The timer is faster.")
    assert text.count("The export is new.") == 1
    assert "notes" not in text


async def test_json_that_was_cut_off_shows_its_texts_alone() -> None:
    comments: list[Json] = [f"Comment {number} says that export {number} is broken." for number in range(2_000)]
    text = await write("Sum up.", Input={"the_comments": comments})
    assert "Comment" in text
    assert "the_comments" not in text
    assert '"' not in text


async def test_material_that_the_task_brings_along_is_read_and_its_code_is_quoted_where_it_is_called_for() -> None:
    task = f"Review the change. The diff:\n\n{DIFF}"
    assert "- `log.info('charging %s', card)`" in await write(task, "You look for secrets in logs.")
    assert "post(card)" not in await write(task, "You look for secrets in logs."), "a removed line is no change to fear"
    assert "`" not in await write(task, "You judge the style.", Input="The style is even.")


async def test_what_a_role_leaves_out_is_left_out() -> None:
    changes: list[Json] = ["new: reports show the hours", "internal: bump webpack", "fixed: the export of reports"]
    for task, system in (
        ("Write the notes. Leave out what is internal.", "You list every report, export and webpack."),
        ("Write the notes.", "You list reports. Leave out what is internal."),
    ):
        text = await write(task, system, Input={"changes": changes})
        assert "reports show the hours" in text
        assert "webpack" not in text


async def test_a_role_that_asks_for_one_or_two_sentences_gets_those_it_names() -> None:
    readings = "checkout is up\nsearch is degraded since 09:10\nmail is down since 02:12"
    text = await write(
        "Write the status line.", "Write one or two sentences on what is down or degraded.", Input=readings
    )
    assert "checkout" not in text
    assert "mail is down" in text


async def test_requests_are_what_asks_for_something() -> None:
    said = "The colours are nice. Please bring back the export. Login fails on Safari."
    schema = of_texts("requests")
    assert await compose(schema, "Collect.", Input=said) == {"requests": ["Please bring back the export."]}
    assert await compose(schema, "Collect.", Input="The colours are nice.") == {"requests": []}


@pytest.mark.parametrize(
    ("said", "mood"),
    [
        ("The timer is great and easy.", "positive"),
        ("The timer is broken and slow.", "negative"),
        ("The timer is great. The export is broken.", "mixed"),
        ("The timer counts seconds.", "mixed"),
    ],
)
async def test_the_mood_is_mixed_where_words_speak_for_both(said: str, mood: str) -> None:
    schema: JsonObject = {"enum": ["positive", "mixed", "negative"]}
    assert await compose(schema, "Judge the mood.", Input=said) == mood


async def test_a_theme_is_a_short_phrase_and_no_comment_stands_for_two() -> None:
    item: JsonObject = {
        "type": "object",
        "properties": {
            "theme": {"type": "string", "description": "A short noun phrase."},
            "example": {"type": "string"},
        },
    }
    schema: JsonObject = {"type": "object", "properties": {"themes": {"type": "array", "items": item}}}
    comments: list[Json] = [
        "The Excel export is broken.",
        "I need the Excel export every week.",
        "The grey text is hard to read.",
    ]
    themes = (await compose(schema, "Find themes.", Input={"feedback": comments}))["themes"]
    assert [entry["theme"] for entry in themes] == ["Excel export", "Grey text"]
    assert [entry["example"] for entry in themes] == [comments[0], comments[2]]


async def test_items_are_sorted_by_the_kinds_that_the_role_lists() -> None:
    kinds = "You sort changes. The kinds:\n- new: feat, feature\n- fixed: fix, perf\n- internal: chore, refactor"
    changes = "- feat: dark mode\n- fix(api): export of empty projects\n- chore: bump webpack"
    schema = of_texts("change", "Every change once, its kind in front.")
    sorted_ = await compose(schema, "Sort them.", kinds, Input={"changes": changes})
    assert sorted_["change"] == ["new: dark mode", "fixed: export of empty projects (api)", "internal: bump webpack"]


DEBATE = "Should we sign this contract as it is, negotiate it first, or walk away? We are the customer."
CLAUSES = "Fees rise each year without notice. Liability is unlimited. Both sides agree on the price."
EAGER = "You speak for getting the deal done. You accept a risk that is cheap."
CAREFUL = "You do not accept one-sided risk, and ask for each clause who would be harmed."


async def test_debaters_take_an_option_of_the_question_that_suits_their_role_with_reasons_from_the_input() -> None:
    schema = Position.model_json_schema()
    eager = await compose(schema, DEBATE, EAGER, OPENING, Clauses=CLAUSES)
    careful = await compose(schema, DEBATE, CAREFUL, OPENING, Clauses=CLAUSES)
    assert eager["answer"] == "sign this contract as it is"
    assert careful["answer"] == "negotiate it first"
    assert careful["rationale"].startswith("The input says: “")
    for quoted in careful["rationale"].split("“")[1:]:
        assert quoted.split("”")[0] in CLAUSES


async def test_a_debater_gives_way_only_to_who_is_much_surer_and_says_to_whom() -> None:
    schema = Revision.model_json_schema()
    own: JsonObject = {"answer": "sign", "confidence": 0.6, "rationale": "The input says: “It is cheap.”"}
    for confidence, answer in ((0.7, "sign"), (0.8, "negotiate")):
        other: JsonObject = {"answer": "negotiate", "confidence": confidence, "rationale": "Harm."}
        stated = await compose(schema, DEBATE, EAGER, REVISION, Your_last_position=own, Position_B=other)
        assert stated["answer"] == answer
        assert stated["changed"] is (answer == "negotiate")
        assert stated["rationale"] == (
            own["rationale"] if answer == "sign" else "Taken over from Position B, which is much surer."
        )


async def test_a_moderator_sets_out_the_positions_and_the_dissent() -> None:
    positions: dict[str, Json] = {
        "Position_A": {"answer": "negotiate", "confidence": 0.8, "rationale": "Liability is unlimited."},
        "Position_B": {"answer": "sign", "confidence": 0.6, "rationale": "Both sides agree."},
    }
    title, *lines = (await write(DEBATE, "You moderate.", SYNTHESIS, Clauses=CLAUSES, **positions)).splitlines()
    assert title == f"[offline demo] {DEBATE.partition('?')[0]}? (positions counted, not judged)"
    assert lines == [
        "",
        "Result: negotiate (Position A, 80% sure)",
        "- Liability is unlimited.",
        "",
        "Dissent: sign (Position B, 60% sure)",
        "- Both sides agree.",
    ]


async def test_what_another_model_says_of_a_draft_is_addressed_by_the_sentence_that_comes_closest() -> None:
    source = "The export fails on Monday. The refund never came. Support was quick."
    draft = "[offline demo] Brief\n- The export fails on Monday."
    feedback: JsonObject = {"criteria": [], "feedback": ["You say nothing about the money and the refund."]}
    text = await write("Sum up.", Input=source, Your_last_draft=draft, Feedback_of_Carl=feedback)
    assert "- The refund never came." in text
    assert "Support" not in text


async def test_how_much_it_reads_is_bounded() -> None:
    prompt = "Do it.\n\n" + "\n\n".join(f"## Section {number}\n{'word ' * 20_000}" for number in range(1_000))
    brief = read_prompt(ModelRequest("", (Message("user", prompt),), AgentSettings()))
    assert len(brief.sections) <= MOST_SECTIONS
    assert sum(len(section.text) for section in brief.sections) <= LONGEST_PROMPT


async def test_the_same_said_in_other_words_is_quoted_once() -> None:
    said = "The Excel export fails on Monday. On Monday the Excel export fails again. The timer is fast."
    assert (await write("Sum up.", "You sum up.", Input=said)).count("Excel") == 1
    by_two: Json = {"Ann": "The Excel export fails on Monday.", "Bob": "On Monday the Excel export fails again."}
    assert (await write("Sum up.", "You sum up.", Reviews=by_two)).count("Excel") == 1


async def test_a_question_is_not_quoted_as_an_answer_to_itself() -> None:
    given: Json = {
        "question": "Should we buy the new printer?",
        "notes": "The old printer is broken. It is nine years old.",
    }
    _, *lines = (await write("Answer: Should we buy the new printer?", Input=given)).splitlines()
    assert lines == ["- The old printer is broken.", "- It is nine years old."]


async def test_a_summary_of_two_sides_has_a_sentence_of_each() -> None:
    described = "Two sentences: what customers are happy and unhappy about."
    schema: JsonObject = {"type": "object", "properties": {"summary": {"type": "string", "description": described}}}
    said = (
        "Exports are broken and slow. Logins are broken and slow too, and crash. The timer is great. Invoices lie here."
    )
    summary = (await compose(schema, "Sum up.", Input=said))["summary"]
    assert "broken" in summary
    assert "The timer is great." in summary


async def test_a_word_that_is_said_of_every_specialist_speaks_for_none() -> None:
    about = "- Sales: helps every customer with a quote\n- Billing: helps every customer with an invoice"
    item: JsonObject = {
        "type": "object",
        "properties": {"specialist": {"enum": ["Sales", "Billing"]}, "confidence": {"type": "number"}},
    }
    schema: JsonObject = {"type": "object", "properties": {"routes": {"type": "array", "items": item}}}
    asked = f"You are the router.\n{about}"
    routes = (await compose(schema, "Route.", "", asked, Input="A customer asks who helps with the invoice."))["routes"]
    assert routes[0]["specialist"] == "Billing"
    assert routes[1]["confidence"] == 0.2
