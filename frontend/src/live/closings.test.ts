import { expect, test } from "vitest";
import { closing, waitBefore } from "./closings";

test.each([
  [1000, "ended"],
  [1006, "reconnecting"],
  [1011, "reconnecting"],
  [1012, "reconnecting"],
  [4408, "reconnecting"],
  [4401, "refused"],
  [4403, "refused"],
  [4404, "refused"],
  [4419, "refused"],
])("a close with %d is %s", (code, state) => {
  expect(closing(code)[0]).toBe(state);
});

test("a refusal says what to do", () => {
  expect(closing(4419)[1]).toContain("Sign in again");
});

test("tries come at longer and longer intervals, up to a bound, spread by chance", () => {
  const waits = [0, 1, 2, 3, 50].map((tries) => waitBefore(tries, 1));
  expect(waits).toEqual([250, 500, 1000, 2000, 8000]);
  expect(waitBefore(3, 0)).toBe(1000);
});
