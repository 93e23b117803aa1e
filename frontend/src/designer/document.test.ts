import { expect, test } from "vitest";
import type { Block } from "../types";
import { twoBlocks } from "./builders";
import { copy, fromText, paste, toText } from "./clipboard";
import { edgesOf, endsOf, nextNodes } from "./flow";
import { BLOCK_WIDTH, laidOut } from "./layout";
import { inputToTry, namesFor } from "./names";
import { countByBlock, placeProblems, problemsBelow } from "./problems";
import { isSameDocument } from "./same_document";
import { actionOf } from "./shortcuts";

test("pasted blocks get new ids and labels, and so do the names in their texts and the connections between them", () => {
  const { design } = twoBlocks();
  const fragment = fromText(toText(copy(design, ["sequential", "routing"])));
  if (!fragment) throw new Error("It was not read.");
  const [pasted, ids] = paste(design, fragment);
  expect(ids).toEqual(["sequential-2", "routing-2"]);
  expect(pasted.blocks[3]?.data.task).toBe("Sort {{blocks.sequential-2.output}}.");
  expect(pasted.blocks[3]?.data.label).toBe("Routing 2");
  expect(pasted.connections[1]).toEqual({
    id: "sequential-2-routing-2",
    source: "sequential-2",
    target: "routing-2",
    source_agent: "writer",
  });
  expect(pasted.blocks[1]).toBe(design.blocks[1]);
});

test("a name of a block that was not copied stays", () => {
  const { design } = twoBlocks();
  const [pasted] = paste(design, copy(design, ["routing"]));
  expect(pasted.blocks[2]?.data.task).toBe("Sort {{blocks.sequential.output}}.");
  expect(pasted.connections).toHaveLength(1);
});

test("other text on the clipboard is no blocks", () => {
  expect(fromText("{{input.a}}")).toBeUndefined();
  expect(fromText('{"blocks": []}')).toBeUndefined();
});

test("names are proposed of the input's fields and of blocks that come before", () => {
  const { design } = twoBlocks();
  const properties = { customer: { type: "object", properties: { name: { type: "string", title: "Name" } } } };
  const known = { ...design, input_schema: { type: "object", properties } };
  expect(namesFor(known, "routing").map(({ name }) => name)).toEqual([
    "input.customer",
    "input.customer.name",
    "blocks.sequential.output",
  ]);
  expect(namesFor(design, "sequential")).toEqual([]);
});

test("an input to try one block has a place for all that its texts name", () => {
  const { design } = twoBlocks();
  expect(inputToTry(design, "routing")).toEqual({ blocks: { sequential: { output: "" } } });
});

test("problems stay at their blocks though others come before them", () => {
  const { design } = twoBlocks();
  const placed = placeProblems(design, [
    { pointer: "/blocks/1/data/config/default", code: "a", message: "A." },
    { pointer: "/connections/0", code: "b", message: "B." },
    { pointer: "/input_schema/type", code: "c", message: "C." },
  ]);
  expect(placed.map(({ block, connection, path }) => [block, connection, path])).toEqual([
    ["routing", undefined, "/data/config/default"],
    [undefined, "sequential-routing", "/"],
    [undefined, undefined, "/input_schema/type"],
  ]);
  expect(countByBlock(design, placed)).toEqual(new Map([["routing", 2]]));
  expect(problemsBelow(placed, "/data/config").map(({ pointer }) => pointer)).toEqual(["/default"]);
});

test("blocks that did not change are the same objects to the canvas", () => {
  const { design } = twoBlocks();
  const shown = { design, selected: [], problems: new Map<string, number>(), states: new Map() };
  const nodes = nextNodes([], shown);
  const next = nextNodes(nodes, { ...shown, problems: new Map([["routing", 1]]) });
  expect(next[0]).toBe(nodes[0]);
  expect(next[1]?.data.problems).toBe(1);
  expect(next[1]?.ariaLabel).toBe("Routing, Routing, 1 problem");
});

test("a line between agents becomes a connection between agents, and is drawn as one", () => {
  const { design } = twoBlocks();
  expect(endsOf({ source: "a", target: "b", sourceHandle: "agent:x", targetHandle: "block" })).toEqual({
    source: "a",
    target: "b",
    source_agent: "x",
  });
  expect(edgesOf(design, [])[0]?.sourceHandle).toBe("agent:writer");
});

test("a design without places is laid out, and one that has some is left as it is", () => {
  const { design } = twoBlocks();
  const bare = { ...design, blocks: design.blocks.map(({ position: _, ...block }) => block) };
  const third = { ...bare.blocks[1], id: "third" } as Block;
  const back = { id: "back", source: "routing", target: "sequential" };
  const circle = { ...bare, blocks: [...bare.blocks, third], connections: [...bare.connections, back] };
  const [first, second, beside] = laidOut(circle).blocks.map(({ position }) => position);
  expect(Math.abs((second?.x ?? 0) - (first?.x ?? 0))).toBeGreaterThan(BLOCK_WIDTH);
  expect(beside?.y).not.toBe([first, second].find((place) => place?.x === beside?.x)?.y);
  expect(laidOut(design)).toBe(design);
});

test("keys are left to a field that has the cursor, but for those that are no text", () => {
  const key = (name: string, control = false) => ({
    key: name,
    ctrlKey: control,
    metaKey: false,
    shiftKey: false,
    altKey: false,
  });
  expect(actionOf(key("z", true), false)).toBe("undo");
  expect(actionOf(key("z", true), true)).toBeUndefined();
  expect(actionOf(key("Delete"), true)).toBeUndefined();
  expect(actionOf(key("Delete"), false)).toBe("remove");
  expect(actionOf(key("s", true), true)).toBe("save");
  expect(actionOf({ ...key("Z", true), shiftKey: true }, false)).toBe("redo");
});

test("documents are the same whatever the order of their fields, but not of their blocks", () => {
  expect(isSameDocument({ a: 1, b: [{ c: 2, d: 3 }] }, { b: [{ d: 3, c: 2 }], a: 1 })).toBe(true);
  expect(isSameDocument([1, 2], [2, 1])).toBe(false);
});
