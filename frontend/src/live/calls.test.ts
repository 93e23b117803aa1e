import { expect, test } from "vitest";
import { callOf, callOfEvent } from "./calls";

test.each([
  ["draft/turn/0/writer", "turn", 0, 0],
  ["draft/turn/0/writer/2", "turn", 0, 2],
  ["draft/judge-1-0/3/boss", "judge-1-0", 3, 0],
])("the key %s is of the call that its events name", (key, phase, round, repair) => {
  const payload = { phase, round, repair };
  const event = { seq: 1, type: "agent.completed", block_id: "draft", agent: "Writer", payload, at: "" };
  expect(callOf(key, "Writer")).toBe(callOfEvent(event));
  expect(callOf(key, "Other")).not.toBe(callOfEvent(event));
});
