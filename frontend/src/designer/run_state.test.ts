import { expect, test } from "vitest";
import type { Json } from "../client";
import { isOver, type RunState, startingRun, withEvent, withText } from "./run_state";

let seq = 0;
const event = (
  type: string,
  block: string | null = null,
  payload: Record<string, Json> = {},
  agent: string | null = null,
) => {
  seq += 1;
  return { seq, type, block_id: block, agent, payload, at: "" };
};

test("blocks show what they do, and the end is told with its reason", () => {
  let run = startingRun("x");
  run = withEvent(run, event("block.started", "a"));
  run = withEvent(run, event("block.completed", "a"));
  run = withEvent(run, event("block.failed", "b"));
  run = withEvent(run, event("block.started", "c"));
  expect([...run.blocks]).toEqual([
    ["a", "completed"],
    ["b", "failed"],
    ["c", "running"],
  ]);
  expect(isOver(run)).toBe(false);
  run = withEvent(run, event("execution.failed", null, { message: "The model refused." }));
  expect(run.error).toBe("The model refused.");
  expect(isOver(run)).toBe(true);
  expect(run.blocks.get("c")).toBe("cancelled");
});

test("a decision is told as on the execution's page", () => {
  const decided = event("decision", "a", { chosen: ["billing"], by: "rule", reason: "it says invoice" });
  expect(withEvent(startingRun("x"), decided).decisions).toEqual([
    { block: "a", words: "A rule chose billing: it says invoice" },
  ]);
});

const texts = (run: RunState) => [...run.texts.values()].map(({ text, isDone }) => [text, isDone]);

test("a text that streamed is closed by its answer, and the next call has a text of its own", () => {
  let run = withText(startingRun("x"), "a", "Writer", "a/turn/0/w", "Hel");
  run = withText(run, "a", "Writer", "a/turn/0/w", "Hello");
  expect(texts(run)).toEqual([["Hello", false]]);
  run = withEvent(run, event("agent.completed", "a", { phase: "turn", round: 0, output: "Hello." }, "Writer"));
  run = withEvent(run, event("agent.completed", "a", { phase: "turn", round: 1, output: { n: 1 } }, "Writer"));
  expect(texts(run)).toEqual([
    ["Hello.", true],
    ['{\n  "n": 1\n}', true],
  ]);
});

test("a piece that comes behind its call's answer, or behind the end, changes nothing", () => {
  let run = withEvent(
    startingRun("x"),
    event("agent.completed", "a", { phase: "turn", round: 0, output: "Hello." }, "Writer"),
  );
  run = withText(run, "a", "Writer", "a/turn/0/w", "Hel");
  expect(texts(run)).toEqual([["Hello.", true]]);
  run = withText(run, "a", "Writer", "a/turn/0/w/1", "Again");
  run = withEvent(run, event("execution.cancelled"));
  run = withText(run, "a", "Writer", "a/turn/0/w/2", "More");
  expect(texts(run)).toEqual([
    ["Hello.", true],
    ["Again", true],
  ]);
});

test("a call that failed writes no more, and keeps what it had written", () => {
  let run = withText(startingRun("x"), "a", "Writer", "a/turn/0/w", "Hel");
  run = withEvent(run, event("agent.failed", "a", { phase: "turn", round: 0, message: "refused" }, "Writer"));
  expect(texts(run)).toEqual([["Hel", true]]);
});
