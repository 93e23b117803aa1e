/** What becomes of times that come too late, together or amiss; and from when to when a schedule is in force. */

import type { NewSchedule } from "../api";
import { type Control, field, select } from "../elements/fields";
import { make } from "../elements/make";

const OVERLAPS: [string, string][] = [
  ["skip", "the new one is left out"],
  ["queue_one", "one waits for it"],
  ["cancel_previous", "the old one is cancelled"],
  ["allow", "both run"],
];
const CATCH_UPS: [string, string][] = [
  ["latest", "the last one runs"],
  ["all", "every one runs, 100 at most"],
  ["none", "none of them runs"],
];
const NUMBERS = ["catch_up_window_seconds", "jitter_seconds", "pause_after_failures"] as const;

export class PolicyFields {
  readonly element: HTMLDetailsElement;
  readonly controls: Map<string, Control>;
  #given: NewSchedule;
  #overlap: HTMLSelectElement;
  #catchUp: HTMLSelectElement;

  constructor(given: NewSchedule, changed: () => void) {
    this.#given = given;
    this.#overlap = select(OVERLAPS, given.overlap ?? "skip");
    this.#catchUp = select(CATCH_UPS, given.catch_up ?? "latest");
    const window = numberInput(given.catch_up_window_seconds ?? 3600);
    const jitter = numberInput(given.jitter_seconds ?? 0);
    const failures = numberInput(given.pause_after_failures ?? "");
    const [start, end] = [momentInput(given.start_at), momentInput(given.end_at)];
    this.controls = new Map<string, Control>([
      ["/overlap", this.#overlap],
      ["/catch_up", this.#catchUp],
      ["/catch_up_window_seconds", window],
      ["/start_at", start],
      ["/end_at", end],
      ["/jitter_seconds", jitter],
      ["/pause_after_failures", failures],
    ]);
    this.element = make(
      "details",
      {},
      make("summary", {}, "Overlap, late times, start and end"),
      make(
        "div",
        { class: "field-grid" },
        field("When the run before is not over", this.#overlap),
        field("Of times that came while nothing ran", this.#catchUp),
        field("But none that is older than", window, "In seconds."),
        field("Pause after failures in a row", failures, "Empty: never."),
        field("Not before (UTC)", start),
        field("Not after (UTC)", end),
        field("Spread by up to", jitter, "In seconds: not everything starts at the same moment."),
      ),
    );
    this.element.addEventListener("input", changed);
  }

  get value() {
    const numbers = NUMBERS.map((name) => [name, this.#number(name)] as const);
    return {
      overlap: this.#overlap.value,
      catch_up: this.#catchUp.value,
      ...(Object.fromEntries(numbers) as Record<(typeof NUMBERS)[number], number | null>),
      start_at: this.#moment("start_at"),
      end_at: this.#moment("end_at"),
      // These two have no "none" of their own: an empty field is their least.
      catch_up_window_seconds: this.#number("catch_up_window_seconds") ?? 0,
      jitter_seconds: this.#number("jitter_seconds") ?? 0,
    };
  }

  /** Those of them that decide when it fires. */
  get times() {
    const { start_at, end_at, jitter_seconds } = this.value;
    return { start_at, end_at, jitter_seconds };
  }

  #text(name: string): string {
    return this.controls.get(`/${name}`)?.value ?? "";
  }

  #number(name: string): number | null {
    const text = this.#text(name);
    return text === "" ? null : Number(text);
  }

  /** As it was, where it was not touched: the field shows no fractions of a second. */
  #moment(name: "start_at" | "end_at"): string | null {
    const text = this.#text(name);
    const before = this.#given[name];
    if (before && text && Date.parse(`${text}Z`) === Date.parse(`${shown(before)}Z`)) return before;
    return text ? `${text.length === 16 ? `${text}:00` : text}Z` : null;
  }
}

function numberInput(value: number | string | null): HTMLInputElement {
  return make("input", { type: "number", min: 0, step: 1, value: value ?? "" });
}

function momentInput(value: string | null | undefined): HTMLInputElement {
  const made = make("input", { type: "datetime-local", step: 1 });
  if (value) made.value = shown(value);
  return made;
}

function shown(moment: string): string {
  return new Date(moment).toISOString().slice(0, 19);
}
