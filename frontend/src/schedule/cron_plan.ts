/** The cron expressions that a form can show as plain fields, in both directions. Whatever else there is, is `custom`. */

export type Plan =
  | { kind: "minutes"; every: number }
  | { kind: "hourly"; minute: number }
  | { kind: "daily"; time: string }
  | { kind: "weekly"; days: number[]; time: string }
  | { kind: "monthly"; day: number; time: string }
  | { kind: "custom" };
export type PlanKind = Plan["kind"];

/** Those that divide an hour: every 7 minutes would begin anew with each hour. */
export const MINUTES = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30];
/** As cron counts them: 0 is Sunday. */
export const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const NAMES = WEEKDAYS.map((day) => day.slice(0, 3).toLowerCase());
const NICKNAMES: Record<string, string> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
};

/** The expression of a plan; undefined for `custom`, which has none of its own. */
export function writePlan(plan: Plan): string | undefined {
  switch (plan.kind) {
    case "minutes":
      return plan.every === 1 ? "* * * * *" : `*/${plan.every} * * * *`;
    case "hourly":
      return `${plan.minute} * * * *`;
    case "daily":
      return `${clockFields(plan.time)} * * *`;
    case "weekly":
      return `${clockFields(plan.time)} * * ${plan.days.length ? plan.days.join(",") : "*"}`;
    case "monthly":
      return `${clockFields(plan.time)} ${plan.day} * *`;
    case "custom":
      return undefined;
  }
}

/** The plan that an expression is, whichever way it is spelt. */
export function readPlan(expression: string): Plan {
  const spelt = expression.trim().toLowerCase();
  const fields = (NICKNAMES[spelt] ?? spelt).split(/\s+/);
  if (fields.length !== 5 || fields[3] !== "*") return { kind: "custom" };
  const [minute = "", hour = "", day = "", , weekday = ""] = fields;
  if (hour === "*" && day === "*" && weekday === "*") return ofMinutes(minute);
  const time = readTime(minute, hour);
  return time === undefined ? { kind: "custom" } : ofDays(time, day, weekday);
}

function ofMinutes(minute: string): Plan {
  const every = minute === "*" ? 1 : number(minute.replace(/^\*\//, ""), 1, 59);
  if ((minute === "*" || minute.startsWith("*/")) && every !== undefined && MINUTES.includes(every)) {
    return { kind: "minutes", every };
  }
  const at = number(minute, 0, 59);
  return at === undefined ? { kind: "custom" } : { kind: "hourly", minute: at };
}

function ofDays(time: string, day: string, weekday: string): Plan {
  if (day === "*" && weekday === "*") return { kind: "daily", time };
  if (day === "*") {
    const days = readDays(weekday);
    return days ? { kind: "weekly", days, time } : { kind: "custom" };
  }
  const of = number(day, 1, 31);
  return weekday === "*" && of !== undefined ? { kind: "monthly", day: of, time } : { kind: "custom" };
}

function readDays(field: string): number[] | undefined {
  const days = new Set<number>();
  for (const part of field.split(",")) {
    const [first, last = first, more] = part.split("-").map(weekdayOf);
    if (first === undefined || last === undefined || more !== undefined || last < first) return undefined;
    for (let day = first; day <= last; day++) days.add(day % 7);
  }
  return [...days].sort((one, other) => one - other);
}

function weekdayOf(text: string): number | undefined {
  const named = NAMES.indexOf(text);
  return named >= 0 ? named : number(text, 0, 7);
}

function readTime(minute: string, hour: string): string | undefined {
  const [at, of] = [number(minute, 0, 59), number(hour, 0, 23)];
  return at === undefined || of === undefined ? undefined : `${two(of)}:${two(at)}`;
}

function clockFields(time: string): string {
  const [hour = 0, minute = 0] = time.split(":").map(Number);
  return `${minute} ${hour}`;
}

function number(text: string, least: number, most: number): number | undefined {
  const value = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : undefined;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
