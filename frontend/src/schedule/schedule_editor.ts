/** `<schedule-editor value="{…}" schema="{…}" example="{…}">`: everything of a schedule, with its next runs while editing.
 *
 * `value` is the schedule, or null where there is none; `problems` are shown at their fields, by pointers from the
 * schedule.
 */

import type { NewSchedule } from "../api";
import type { Json } from "../client";
import { check, placeProblems, setError } from "../elements/fields";
import { make } from "../elements/make";
import { notifyError } from "../elements/notices";
import { isObject } from "../elements/schema_fields";
import type { SchemaForm } from "../elements/schema_form";
import { ApiError, type FieldProblem } from "../problem";
import { PolicyFields } from "./policy_fields";
import { askPreview, type Preview, showRuns } from "./preview";
import { WhenFields } from "./when_fields";
import { browserZone } from "./zones";

const PAUSE_MS = 300;
const BEGINNING: NewSchedule = {
  enabled: false,
  cron_expression: "0 9 * * *",
  interval_seconds: null,
  day_match: null,
};

export class ScheduleEditor extends HTMLElement {
  #had = false;
  #switch = check("Run by itself, on a schedule", false);
  #when: WhenFields | undefined;
  #policies: PolicyFields | undefined;
  #input: SchemaForm = make("schema-form");
  #body = make("div", { class: "stack" });
  #words = make("p", { class: "words", role: "status" });
  #runs = make("div");
  #others = make("p", { class: "notice bad", role: "alert", hidden: true });
  #inputProblem = make("p", { class: "notice bad", role: "alert", hidden: true });
  #timer = 0;
  #asking = new AbortController();
  /** Inputs that were typed, each by its design's schema: somebody who goes back to it finds them again. */
  #typed = new Map<string, Json>();

  connectedCallback(): void {
    if (this.#when) {
      this.#changed(); // moved: the preview that was asked for was let go
      return;
    }
    const given = JSON.parse(this.getAttribute("value") ?? "null") as NewSchedule | null;
    this.#had = given !== null;
    this.#draw({ timezone: browserZone(), ...(given ?? BEGINNING) });
  }

  disconnectedCallback(): void {
    clearTimeout(this.#timer);
    this.#asking.abort();
  }

  get value(): NewSchedule | null {
    const enabled = this.#enabled.checked;
    if (!enabled && !this.#had) return null;
    return { enabled, ...this.#when?.value, ...this.#policies?.value, input_data: this.#input.value ?? {} };
  }

  set problems(problems: FieldProblem[]) {
    const ofInput = problems.filter(({ pointer }) => pointer.startsWith("/input_data"));
    this.#input.problems = ofInput.map((found) => ({ ...found, pointer: found.pointer.slice("/input_data".length) }));
    say(this.#inputProblem, ofInput[0] ? "The input of each run does not fit the design: correct what is marked." : "");
    const inner = ofInput.length ? this.#input.closest("details") : null;
    if (inner) inner.open = true;
    const rest = problems.filter((problem) => !ofInput.includes(problem));
    this.#place(rest);
  }

  /** For another design: the times stay, and of the input what was typed and has a place in its schema. */
  turnTo({ schema, example }: ScheduleEditor): void {
    const before = this.#isInputTyped ? (this.#input.value ?? {}) : {};
    if (this.#isInputTyped) this.#typed.set(JSON.stringify(this.schema), before);
    const typed = this.#typed.get(JSON.stringify(schema));
    this.setAttribute("schema", JSON.stringify(schema));
    this.setAttribute("example", JSON.stringify(example));
    this.#input.schema = schema;
    this.#input.value = typed ?? withShared(schema, example, before);
  }

  get schema(): Json {
    return this.#json("schema");
  }

  get example(): Json {
    return this.#json("example");
  }

  get #isInputTyped(): boolean {
    return JSON.stringify(this.#input.value) !== JSON.stringify(this.example);
  }

  /** Where half of a JSON text stands in the input there is no value yet. */
  get isBroken(): boolean {
    return this.#enabled.checked && this.#input.isBroken;
  }

  get #enabled(): HTMLInputElement {
    return this.#switch.querySelector("input") as HTMLInputElement;
  }

  #draw(given: NewSchedule): void {
    this.#when = new WhenFields(given, () => this.#changed());
    this.#policies = new PolicyFields(given, () => this.#changed());
    this.#input.schema = this.schema;
    this.#input.value = this.#had ? (given.input_data ?? {}) : this.example;
    this.#enabled.checked = given.enabled ?? false;
    this.#enabled.addEventListener("change", () => this.#switched());
    this.#body.append(
      this.#others,
      this.#when.element,
      make("div", { class: "next-runs" }, this.#words, this.#runs),
      make("details", {}, make("summary", {}, "Input of each run"), this.#inputProblem, this.#input),
      this.#policies.element,
    );
    this.replaceChildren(
      make("fieldset", { class: "stack" }, make("legend", {}, "Schedule"), this.#switch, this.#body),
    );
    this.#switched();
  }

  #json(name: string): Json {
    return JSON.parse(this.getAttribute(name) ?? "{}") as Json;
  }

  #switched(): void {
    this.#body.hidden = !this.#enabled.checked;
    this.#changed();
  }

  #changed(): void {
    clearTimeout(this.#timer);
    if (this.#enabled.checked) this.#timer = window.setTimeout(() => void this.#preview(), PAUSE_MS);
  }

  async #preview(): Promise<void> {
    if (!this.#when || !this.#policies) return;
    this.#asking.abort();
    this.#asking = new AbortController();
    try {
      const times = { ...this.#when.value, ...this.#policies.times };
      this.#show(await askPreview(times, this.#asking.signal));
    } catch (error) {
      if (error instanceof ApiError) say(this.#others, error.message);
      else if (!(error instanceof DOMException)) notifyError(error);
    }
  }

  #show(preview: Preview): void {
    this.#words.textContent = preview.words ?? "";
    const many = preview.runs.length === 1 ? "The next run" : `The next ${preview.runs.length} runs`;
    if (preview.runs.length)
      this.#runs.replaceChildren(make("p", { class: "soft small" }, many), showRuns(preview.runs));
    else this.#runs.replaceChildren();
    this.#place(preview.problems);
  }

  #place(problems: FieldProblem[]): void {
    if (!this.#when || !this.#policies) return;
    this.#when.askDayMatch(problems.some(({ pointer }) => pointer === "/day_match"));
    const controls = new Map([...this.#when.controls, ...this.#policies.controls]);
    for (const control of controls.values()) setError(control);
    const others = placeProblems(controls, problems);
    if (problems.some(({ pointer }) => this.#policies?.controls.has(pointer))) this.#policies.element.open = true;
    say(this.#others, others.map(({ message }) => message).join(" "));
  }
}

/** The example, with those of the values that the schema names too. */
function withShared(schema: Json, example: Json, values: Json): Json {
  if (!isObject(example) || !isObject(values) || !isObject(schema) || !isObject(schema.properties)) return example;
  const named = schema.properties;
  return { ...example, ...Object.fromEntries(Object.entries(values).filter(([name]) => name in named)) };
}

function say(place: HTMLElement, message: string): void {
  if (place.textContent !== message) place.textContent = message;
  place.hidden = message === "";
}

customElements.define("schedule-editor", ScheduleEditor);

declare global {
  interface HTMLElementTagNameMap {
    "schedule-editor": ScheduleEditor;
  }
}
