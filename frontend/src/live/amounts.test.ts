import { expect, test } from "vitest";
import { count, duration, money } from "./amounts";

test.each([
  [0, "0 ms"],
  [1240, "1.2 s"],
  [59_940, "59.9 s"],
  [61_000, "1 min 1 s"],
  [3_660_000, "1 h 1 min"],
])("%d ms is %s", (milliseconds, said) => {
  expect(duration(milliseconds)).toBe(said);
});

test.each([
  [null, "no price known"],
  [0, "$0"],
  [0.00123, "$0.0012"],
  [0.1234, "$0.1234"],
  [12.3, "$12.30"],
])("%s USD is %s", (amount, said) => {
  expect(money(amount)).toBe(said);
});

test("one is not many", () => {
  expect([count(1, "token"), count(12_345, "token")]).toEqual(["1 token", "12,345 tokens"]);
});
