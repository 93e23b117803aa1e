import { expect, test } from "vitest";
import { stateAfter, twoBlocks } from "./builders";
import { reduce } from "./reducer";

test("blocks are added under ids and labels of their own, and selected", () => {
  const { design, selection } = stateAfter({ type: "add", pattern: "debate" }, { type: "add", pattern: "debate" });
  expect(design.blocks.map(({ id, data }) => [id, data.label])).toEqual([
    ["debate", "Debate"],
    ["debate-2", "Debate 2"],
  ]);
  expect(selection.blocks).toEqual(["debate-2"]);
  expect(design.blocks[1]?.position?.x).toBeGreaterThan(design.blocks[0]?.position?.x ?? 0);
});

test("the same ends are connected once, and a block never with itself", () => {
  const before = twoBlocks();
  const again = reduce(before, {
    type: "connect",
    ends: { source: "sequential", target: "routing", source_agent: "writer" },
  });
  expect(again.design).toBe(before.design);
  expect(reduce(before, { type: "connect", ends: { source: "routing", target: "routing" } }).design).toBe(
    before.design,
  );
  const other = reduce(before, { type: "connect", ends: { source: "sequential", target: "routing" } });
  expect(other.design.connections).toHaveLength(2);
  expect(new Set(other.design.connections.map(({ id }) => id)).size).toBe(2);
});

test("a block goes with its connections, and both come back", () => {
  const before = twoBlocks();
  const after = reduce(before, { type: "delete", blocks: ["sequential"] });
  expect(after.design.blocks.map(({ id }) => id)).toEqual(["routing"]);
  expect(after.design.connections).toEqual([]);
  expect(reduce(after, { type: "undo" }).design).toBe(before.design);
});

test("undo and redo lead to the very same documents", () => {
  const before = twoBlocks();
  const undone = reduce(reduce(before, { type: "undo" }), { type: "undo" });
  expect(undone.design.connections).toEqual([]);
  const redone = reduce(reduce(undone, { type: "redo" }), { type: "redo" });
  expect(redone.design).toBe(before.design);
  const other = reduce(undone, { type: "add", pattern: "parallel" });
  expect(reduce(other, { type: "redo" })).toBe(other);
});

test("typing in one field is one step; another field is another", () => {
  let state = twoBlocks();
  const steps = state.past.length;
  for (const label of ["A", "Ab", "Abc"]) {
    state = reduce(state, { type: "patchBlock", id: "sequential", patch: { label }, key: "label" });
  }
  state = reduce(state, { type: "patchBlock", id: "sequential", patch: { task: "x" }, key: "task" });
  expect(state.past.length).toBe(steps + 2);
  state = reduce(state, { type: "undo" });
  expect(state.design.blocks[0]?.data.label).toBe("Abc");
});

test("what is undone is no longer selected", () => {
  const state = stateAfter({ type: "add", pattern: "debate" }, { type: "undo" });
  expect(state.selection.blocks).toEqual([]);
});

test("a renamed agent is renamed in the config too, and only there where agents are named", () => {
  let state = stateAfter({ type: "add", pattern: "routing" });
  state = reduce(state, {
    type: "patchBlock",
    id: "routing",
    patch: {
      config: {
        default: "General",
        rules: [{ field: "General", op: "equals", value: "General", specialist: "General" }],
      },
    },
  });
  state = reduce(state, { type: "patchAgent", block: "routing", index: 1, patch: { name: "Anybody" } });
  expect(state.design.blocks[0]?.data.config).toEqual({
    default: "Anybody",
    rules: [{ field: "General", op: "equals", value: "General", specialist: "Anybody" }],
  });
});

test("when an agent goes, what led from it leads from the whole block", () => {
  const state = reduce(twoBlocks(), { type: "removeAgent", block: "sequential", index: 0 });
  expect(state.design.connections).toEqual([{ id: "sequential-routing", source: "sequential", target: "routing" }]);
});

test("a field that is cleared is left out of the document", () => {
  let state = stateAfter({ type: "add", pattern: "sequential" });
  state = reduce(state, { type: "patchAgent", block: "sequential", index: 0, patch: { model: "a:b" } });
  expect(state.design.blocks[0]?.data.agents?.[0]?.model).toBe("a:b");
  state = reduce(state, { type: "patchAgent", block: "sequential", index: 0, patch: { model: undefined } });
  expect(state.design.blocks[0]?.data.agents?.[0]).not.toHaveProperty("model");
});

test("tidy puts what follows to the right of what comes before, and overlaps nothing", () => {
  const state = reduce(twoBlocks(), { type: "tidy" });
  const [first, second] = state.design.blocks.map(({ position }) => position?.x ?? 0);
  expect(second).toBeGreaterThan((first ?? 0) + 230);
});

test("the chosen blocks are put in one column", () => {
  const all = reduce(twoBlocks(), { type: "selectAll" });
  const state = reduce(all, { type: "align", to: "left" });
  expect(state.design.blocks.map(({ position }) => position)).toEqual([
    { x: 0, y: 0 },
    { x: 0, y: 300 },
  ]);
});

test("selecting is no step to undo", () => {
  const before = twoBlocks();
  const after = reduce(before, { type: "mark", blocks: new Map([["sequential", true]]) });
  expect(after.selection.blocks).toEqual(["routing", "sequential"]);
  expect(after.past).toBe(before.past);
});
