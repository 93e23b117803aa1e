import { expect, test } from "vitest";
import { type Plan, readPlan, writePlan } from "./cron_plan";

const PLANS: [string, Plan][] = [
  ["* * * * *", { kind: "minutes", every: 1 }],
  ["*/15 * * * *", { kind: "minutes", every: 15 }],
  ["7 * * * *", { kind: "hourly", minute: 7 }],
  ["30 9 * * *", { kind: "daily", time: "09:30" }],
  ["0 9 * * 1,3,5", { kind: "weekly", days: [1, 3, 5], time: "09:00" }],
  ["5 23 31 * *", { kind: "monthly", day: 31, time: "23:05" }],
];

test.each(PLANS)("%s is read as a plan, and written back the same", (expression, plan) => {
  expect(readPlan(expression)).toEqual(plan);
  expect(writePlan(plan)).toBe(expression);
});

test.each([
  ["@daily", { kind: "daily", time: "00:00" }],
  ["0 9 * * MON-FRI", { kind: "weekly", days: [1, 2, 3, 4, 5], time: "09:00" }],
  ["0 9 * * 5-7", { kind: "weekly", days: [0, 5, 6], time: "09:00" }],
  ["  00 09 * *  * ", { kind: "daily", time: "09:00" }],
])("another spelling of a plan is read: %s", (expression, plan) => {
  expect(readPlan(expression)).toEqual(plan);
});

test.each([
  "",
  "0 9",
  "*/7 * * * *",
  "0 9,17 * * *",
  "0 9 1 * 1",
  "0 9 * 1 *",
  "0 9 L * *",
  "60 9 * * *",
  "0 9 * * 5-1",
  "0 9 * * 1-2-3",
])("what has no plain fields stays custom: %s", (expression) => {
  expect(readPlan(expression)).toEqual({ kind: "custom" });
});
