/** Where the blocks of a graph stand: as they were drawn where that can be read, else in layers. */

import dagre from "@dagrejs/dagre";

export interface GraphBlock {
  id: string;
  label: string;
  type: string;
  agents: string[];
  x: number;
  y: number;
}
export interface GraphConnection {
  source: string;
  target: string;
}
export interface Graph {
  blocks: GraphBlock[];
  connections: GraphConnection[];
}
export interface Placed {
  x: number;
  y: number;
}
export interface Layout {
  width: number;
  height: number;
  places: Map<string, Placed>;
}

export const BLOCK = { width: 196, height: 88 };
const GAP = { x: 44, y: 20 };
const MARGIN = 8;
/** The designer's blocks are larger than ours. */
const SCALE = { x: 0.74, y: 0.64 };

export function layOut(graph: Graph): Layout {
  const drawn = new Map(graph.blocks.map(({ id, x, y }) => [id, { x: x * SCALE.x, y: y * SCALE.y }]));
  return fitted(isReadable([...drawn.values()]) ? drawn : layered(graph));
}

function isReadable(places: Placed[]): boolean {
  return places.every((one, index) =>
    places.slice(index + 1).every((other) => {
      const apart = { x: Math.abs(one.x - other.x), y: Math.abs(one.y - other.y) };
      return apart.x >= BLOCK.width + GAP.x / 2 || apart.y >= BLOCK.height + GAP.y / 2;
    }),
  );
}

function layered(graph: Graph): Map<string, Placed> {
  const drawing = new dagre.graphlib.Graph();
  drawing.setGraph({ rankdir: "LR", nodesep: GAP.y, ranksep: GAP.x });
  drawing.setDefaultEdgeLabel(() => ({}));
  for (const { id } of graph.blocks) drawing.setNode(id, { ...BLOCK });
  for (const { source, target } of graph.connections) drawing.setEdge(source, target);
  dagre.layout(drawing);
  return new Map(
    graph.blocks.map(({ id }) => {
      const { x, y } = drawing.node(id);
      return [id, { x: x - BLOCK.width / 2, y: y - BLOCK.height / 2 }];
    }),
  );
}

/** Moved to the upper left corner, with the size of the whole. */
function fitted(places: Map<string, Placed>): Layout {
  const all = [...places.values()];
  const left = Math.min(...all.map(({ x }) => x)) - MARGIN;
  const top = Math.min(...all.map(({ y }) => y)) - MARGIN;
  const moved = new Map([...places].map(([id, { x, y }]) => [id, { x: x - left, y: y - top }]));
  const width = Math.max(...[...moved.values()].map(({ x }) => x)) + BLOCK.width + MARGIN;
  const height = Math.max(...[...moved.values()].map(({ y }) => y)) + BLOCK.height + MARGIN;
  return { width, height, places: moved };
}

/** A curve from the right side of one block to the left side of another. */
export function curve(from: Placed, to: Placed): string {
  const start = { x: from.x + BLOCK.width, y: from.y + BLOCK.height / 2 };
  const end = { x: to.x - 4, y: to.y + BLOCK.height / 2 };
  const bend = Math.max(24, Math.abs(end.x - start.x) / 2);
  return `M${start.x},${start.y} C${start.x + bend},${start.y} ${end.x - bend},${end.y} ${end.x},${end.y}`;
}
