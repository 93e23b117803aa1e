import { expect, test } from "vitest";
import { BLOCK, layOut } from "./graph_layout";

const block = (id: string, x: number, y: number) => ({ id, label: id, type: "sequential", agents: [], x, y });
const chain = [
  { source: "a", target: "b" },
  { source: "b", target: "c" },
];

test("blocks stay as they were drawn, beginning in the corner", () => {
  const { places } = layOut({ blocks: [block("a", 400, 100), block("b", 800, -100)], connections: [] });
  expect(places.get("a")?.x).toBe(8);
  expect(places.get("b")?.y).toBe(8);
  expect(places.get("b")?.x).toBeGreaterThan(BLOCK.width);
});

test("blocks that lie on each other are laid out in layers, none on another", () => {
  const { places, width } = layOut({
    blocks: [block("a", 0, 0), block("b", 0, 0), block("c", 0, 0)],
    connections: chain,
  });
  const [a, b, c] = ["a", "b", "c"].map((id) => places.get(id)?.x ?? Number.NaN) as [number, number, number];
  expect(b - a).toBeGreaterThan(BLOCK.width);
  expect(c - b).toBeGreaterThan(BLOCK.width);
  expect(width).toBeGreaterThan(3 * BLOCK.width);
});
