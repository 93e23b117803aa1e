import { expect, test } from "vitest";
import { changesFrom, changesInWords, type Settings } from "./changes";

const schedule = {
  enabled: true,
  cron_expression: "0 9 * * *",
  timezone: "UTC",
  words: "At 09:00",
  input_data: { a: 1 },
};
const settings = (changes: Partial<Settings> = {}): Settings => ({
  status: "active",
  schedule,
  limits: { max_calls: 5, max_tokens: null },
  retention: { keep_payload_days: null, keep_history_days: 90 },
  ...changes,
});

test("what is the same is no change, whatever the server adds", () => {
  expect(changesFrom(settings(), settings())).toBeUndefined();
  expect(changesFrom(settings(), settings({ schedule: { ...schedule, words: "other" } as object }))).toBeUndefined();
  expect(changesFrom(settings({ schedule: null }), settings({ schedule: null }))).toBeUndefined();
});

test("only the fields that differ are sent", () => {
  const after = settings({
    schedule: { ...schedule, timezone: "Asia/Tokyo" },
    limits: { max_calls: 6, max_tokens: null },
  });
  expect(changesFrom(settings(), after)).toEqual({ schedule: { timezone: "Asia/Tokyo" }, limits: { max_calls: 6 } });
});

test("a schedule that is taken away is sent as none", () => {
  expect(changesFrom(settings(), settings({ schedule: null }))).toEqual({ schedule: null });
});

test("another person's changes are told one by one", () => {
  const theirs = settings({ status: "inactive", limits: { max_calls: null, max_tokens: null } });
  expect(changesInWords(settings(), theirs)).toEqual(["status: inactive", "limits, max calls: none"]);
});

test("of what is kept, too, only the periods that differ are sent", () => {
  const after = settings({ retention: { keep_payload_days: 30, keep_history_days: 90 } });
  expect(changesFrom(settings(), after)).toEqual({ retention: { keep_payload_days: 30 } });
});
