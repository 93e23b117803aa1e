import { expect, test } from "vitest";
import { relative } from "./relative";

const now = new Date("2026-01-31T12:00:00Z");
const at = (seconds: number) => new Date(now.getTime() + seconds * 1000);

test.each([
  [0, "now"],
  [-59, "59 seconds ago"],
  [-60, "1 minute ago"],
  [-3600 * 5, "5 hours ago"],
  [86400, "tomorrow"],
  [-86400 * 400, "last year"],
])("%d seconds from now is said as %s", (seconds, said) => {
  expect(relative(at(seconds), now)).toBe(said);
});
