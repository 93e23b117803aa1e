/** The plain fields of a plan: which ones there are depends on how often it repeats. */

import { check, field, select } from "../elements/fields";
import { make } from "../elements/make";
import { MINUTES, type Plan, type PlanKind, WEEKDAYS } from "./cron_plan";

export type Repeats = PlanKind | "interval";
export const REPEATS: [Repeats, string][] = [
  ["minutes", "Every few minutes"],
  ["hourly", "Every hour"],
  ["daily", "Every day"],
  ["weekly", "On days of the week"],
  ["monthly", "On a day of the month"],
  ["custom", "By a cron expression"],
  ["interval", "After a fixed time"],
];
const FIRST_DAY = 1;

/** The plan that one kind starts with, with the time that was chosen before. */
export function startPlan(kind: PlanKind, time: string): Plan {
  switch (kind) {
    case "minutes":
      return { kind, every: 15 };
    case "hourly":
      return { kind, minute: 0 };
    case "daily":
      return { kind, time };
    case "weekly":
      return { kind, days: [1, 2, 3, 4, 5], time };
    case "monthly":
      return { kind, day: 1, time };
    case "custom":
      return { kind };
  }
}

export function timeOf(plan: Plan): string {
  return "time" in plan ? plan.time : "09:00";
}

/** The fields; `changed` is told the new plan. Each field changes its part of what the others have made of it. */
export function drawPlan(first: Plan, changed: (plan: Plan) => void): HTMLElement[] {
  let current = first;
  const change = (part: Partial<Plan>): void => {
    current = { ...current, ...part } as Plan;
    changed(current);
  };
  switch (first.kind) {
    case "minutes":
      return [
        field(
          "Every",
          minutesControl(first.every, (every) => change({ every })),
        ),
      ];
    case "hourly":
      return [
        field(
          "At minute",
          numberControl(first.minute, 0, 59, (minute) => change({ minute })),
        ),
      ];
    case "daily":
      return [timeField(first.time, change)];
    case "weekly":
      return [weekdayControls(first.days, (days) => change({ days })), timeField(first.time, change)];
    case "monthly":
      return [
        field(
          "On day",
          numberControl(first.day, 1, 31, (day) => change({ day })),
          "Months without this day are left out.",
        ),
        timeField(first.time, change),
      ];
    case "custom":
      return [];
  }
}

function timeField(time: string, change: (part: { time: string }) => void): HTMLElement {
  return field(
    "At",
    timeControl(time, (chosen) => change({ time: chosen })),
  );
}

function minutesControl(every: number, changed: (every: number) => void): HTMLSelectElement {
  const choices = MINUTES.map((count): [string, string] => [
    String(count),
    count === 1 ? "minute" : `${count} minutes`,
  ]);
  const made = select(choices, String(every));
  made.addEventListener("change", () => changed(Number(made.value)));
  return made;
}

function numberControl(value: number, min: number, max: number, changed: (value: number) => void): HTMLInputElement {
  const made = make("input", { type: "number", min, max, value });
  made.addEventListener("input", () => {
    if (made.value !== "" && made.validity.valid) changed(Number(made.value));
  });
  return made;
}

function timeControl(value: string, changed: (value: string) => void): HTMLInputElement {
  const made = make("input", { type: "time", value, required: true });
  made.addEventListener("input", () => {
    if (made.value) changed(made.value.slice(0, 5));
  });
  return made;
}

/** From Monday on. The last day cannot be taken out: a week without days is every day to cron. */
function weekdayControls(days: number[], changed: (days: number[]) => void): HTMLElement {
  const chosen = new Set(days);
  const boxes = WEEKDAYS.map((name, day) => check(name, chosen.has(day), String(day)));
  const group = make("fieldset", { class: "row weekdays" }, make("legend", {}, "On"));
  group.append(...boxes.slice(FIRST_DAY), ...boxes.slice(0, FIRST_DAY));
  group.addEventListener("change", (event) => {
    const box = event.target as HTMLInputElement;
    if (box.checked) chosen.add(Number(box.value));
    else if (chosen.size > 1) chosen.delete(Number(box.value));
    else box.checked = true;
    changed([...chosen].sort((one, other) => one - other));
  });
  return group;
}
