/** When a schedule fires: how often, as plain fields and as the expression, each following the other; and the zone. */

import type { NewSchedule } from "../api";
import { type Control, field, select } from "../elements/fields";
import { make, newId } from "../elements/make";
import { type Plan, readPlan, writePlan } from "./cron_plan";
import { drawPlan, REPEATS, type Repeats, startPlan, timeOf } from "./plan_fields";
import { allZones, browserZone } from "./zones";

const UNITS: [value: string, words: string][] = [
  ["1", "seconds"],
  ["60", "minutes"],
  ["3600", "hours"],
  ["86400", "days"],
];
const DAY_MATCHES: [string, string][] = [
  ["", "Choose"],
  ["and", "both have to match"],
  ["or", "either one suffices"],
];

export class WhenFields {
  readonly element: HTMLElement;
  readonly controls: Map<string, Control>;
  #plan: Plan;
  #repeats: HTMLSelectElement;
  #planFields = make("div", { class: "field-grid" });
  #cron = make("input", { class: "mono", spellcheck: "false", autocomplete: "off", maxlength: 200 });
  #cronField: HTMLElement;
  #count = make("input", { type: "number", min: 1, step: 1 });
  #unit: HTMLSelectElement;
  #intervalFields: HTMLElement;
  #zone: HTMLInputElement;
  #zoneField: HTMLElement;
  #dayMatch: HTMLSelectElement;
  #dayMatchField: HTMLElement;

  constructor(
    given: NewSchedule,
    readonly changed: () => void,
  ) {
    const isInterval = typeof given.interval_seconds === "number";
    this.#cron.value = given.cron_expression ?? "0 9 * * *";
    this.#plan = readPlan(this.#cron.value);
    this.#repeats = select(REPEATS, isInterval ? "interval" : this.#plan.kind);
    this.#cronField = field("Cron expression", this.#cron, "Minute, hour, day of month, month, day of week.");
    this.#unit = select(UNITS, "60");
    this.#setInterval(given.interval_seconds ?? 300);
    this.#intervalFields = make("div", { class: "field-grid" }, field("Every", this.#count), field("Unit", this.#unit));
    const zones = newId("zones");
    this.#zone = make("input", { list: zones, value: given.timezone ?? browserZone(), autocomplete: "off" });
    this.#zoneField = field("Time zone", this.#zone, `Type to search. This browser is in ${browserZone()}.`);
    this.#zoneField.append(
      make("datalist", { id: zones }, ...allZones().map((zone) => make("option", { value: zone }))),
    );
    this.#dayMatch = select(DAY_MATCHES, given.day_match ?? "");
    this.#dayMatchField = field("Day of month and day of week", this.#dayMatch, "The expression restricts both.");
    this.controls = new Map<string, Control>([
      ["/cron_expression", this.#cron],
      ["/interval_seconds", this.#count],
      ["/timezone", this.#zone],
      ["/day_match", this.#dayMatch],
    ]);
    this.element = make("div", { class: "stack" });
    this.#lay();
    this.askDayMatch(given.day_match != null);
  }

  get value() {
    const isInterval = this.#repeats.value === "interval";
    return {
      cron_expression: isInterval ? null : this.#cron.value,
      interval_seconds: isInterval ? Math.round(Number(this.#count.value) * Number(this.#unit.value)) : null,
      timezone: this.#zone.value.trim(),
      day_match: isInterval || this.#dayMatchField.hidden ? null : this.#dayMatch.value || null,
    };
  }

  /** Shown when it is needed; what was chosen stays there to be changed. */
  askDayMatch(isNeeded: boolean): void {
    const isOfPlan = this.#plan.kind !== "custom" || this.#repeats.value === "interval";
    this.#dayMatchField.hidden = isOfPlan || !(isNeeded || this.#dayMatch.value !== "");
  }

  #lay(): void {
    const repeats = field("Repeats", this.#repeats);
    this.element.append(
      make("div", { class: "field-grid" }, repeats, this.#zoneField),
      this.#planFields,
      this.#intervalFields,
      this.#cronField,
      this.#dayMatchField,
    );
    this.#repeats.addEventListener("change", () => this.#repeat(this.#repeats.value as Repeats));
    this.#cron.addEventListener("input", () => this.#typed());
    for (const control of [this.#count, this.#unit, this.#zone, this.#dayMatch]) {
      control.addEventListener("input", () => this.changed());
    }
    this.#drawPlan();
  }

  #repeat(repeats: Repeats): void {
    if (repeats !== "interval") this.#choose(startPlan(repeats, timeOf(this.#plan)));
    this.#drawPlan();
    this.changed();
  }

  /** The fields stay as they are, with the cursor in one: only the expression follows. */
  #choose(plan: Plan): void {
    this.#plan = plan;
    this.#cron.value = writePlan(plan) ?? this.#cron.value;
    this.askDayMatch(false);
  }

  #typed(): void {
    this.#plan = readPlan(this.#cron.value);
    this.#repeats.value = this.#plan.kind;
    this.#drawPlan();
    this.changed();
  }

  #drawPlan(): void {
    const isInterval = this.#repeats.value === "interval";
    const fields = drawPlan(this.#plan, (plan) => {
      this.#choose(plan);
      this.changed();
    });
    this.#planFields.replaceChildren(...fields);
    this.#planFields.hidden = isInterval || fields.length === 0;
    this.#cronField.hidden = isInterval;
    this.#zoneField.hidden = isInterval;
    this.#intervalFields.hidden = !isInterval;
    this.askDayMatch(false);
  }

  #setInterval(seconds: number): void {
    const unit = [...UNITS].reverse().find(([size]) => seconds % Number(size) === 0)?.[0] ?? "1";
    this.#unit.value = unit;
    this.#count.value = String(seconds / Number(unit));
  }
}
