import { expect, test } from "vitest";
import type { Json } from "../client";
import { Progress } from "./progress";

let seq = 0;
const event = (type: string, payload: Record<string, Json> = {}, block_id: string | null = null, second = 0) => {
  seq += 1;
  return { seq, type, block_id, agent: "Writer", payload, at: `2026-01-31T12:00:${String(second).padStart(2, "0")}Z` };
};
const answer = { tries: 2, usage: { input_tokens: 10, output_tokens: 5 }, cost: "0.25" };

function after(...events: ReturnType<typeof event>[]): Progress {
  const progress = new Progress();
  for (const one of events) progress.take(one);
  return progress;
}

test("blocks run, end, and say why they failed", () => {
  const progress = after(
    event("block.started", {}, "a"),
    event("block.completed", {}, "a"),
    event("block.started", {}, "b"),
    event("block.failed", { message: "No answer." }, "b"),
    event("block.skipped", { reason: "Nothing reached this block." }, "c"),
    event("block.completed", { reused: { execution_id: "x" } }, "d"),
  );
  expect(Object.fromEntries(progress.blocks)).toEqual({
    a: { state: "completed", reused: false, note: "" },
    b: { state: "failed", reused: false, note: "No answer." },
    c: { state: "skipped", reused: false, note: "Nothing reached this block." },
    d: { state: "completed", reused: true, note: "" },
  });
});

test("what calls used is counted, what is reused is not", () => {
  const progress = after(
    event("agent.completed", answer, "a"),
    event("agent.completed", { ...answer, reused: {} }, "a"),
  );
  expect(progress.used).toEqual({ calls: 2, tokens: 15, cost: 0.25 });
});

test("one call without a price makes the cost unknown", () => {
  const progress = after(event("agent.completed", answer), event("agent.failed", { ...answer, cost: null }));
  expect(progress.used.cost).toBeNull();
});

test("the last event has the last word about what was used", () => {
  const usage = { calls: 3, input_tokens: 20, output_tokens: 10 };
  const progress = after(event("agent.completed", answer), event("execution.completed", { usage, cost: "0.5" }));
  expect(progress.used).toEqual({ calls: 3, tokens: 30, cost: 0.5 });
});

test("time counts from the start, before it from the acceptance, and stands still at the end", () => {
  const progress = after(event("execution.accepted", {}, null, 1));
  expect(progress.elapsed(Date.parse("2026-01-31T12:00:03Z"))).toBe(2000);
  progress.take(event("execution.started", {}, null, 4));
  expect(progress.status).toBe("running");
  progress.take(event("execution.resumed", {}, null, 6));
  expect(progress.elapsed(Date.parse("2026-01-31T12:00:09Z"))).toBe(5000);
  progress.take(event("execution.completed", {}, null, 10));
  expect(progress.elapsed(Date.parse("2027-01-01T00:00:00Z"))).toBe(6000);
});

test("a cancelled execution leaves no block running", () => {
  const progress = after(
    event("execution.started"),
    event("block.started", {}, "a"),
    event("execution.cancel_requested"),
  );
  expect(progress.status).toBe("cancelling");
  progress.take(event("execution.cancelled", { by: "user:ann" }));
  expect([progress.status, progress.blocks.get("a")?.state, progress.message]).toEqual([
    "cancelled",
    "cancelled",
    "Cancelled by user:ann.",
  ]);
});
