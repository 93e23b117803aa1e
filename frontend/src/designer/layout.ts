/** Tidy places for the blocks: in layers from left to right, by what follows what. */

import { Graph, layout } from "@dagrejs/dagre";
import type { Design } from "../types";
import { agentsOf, type Point, positionOf } from "./document";
import { moveBlocks } from "./edits";

export const BLOCK_WIDTH = 230;
const HEAD_HEIGHT = 62;
const AGENT_HEIGHT = 26;
const GRID = 10;

/** About as high as the block is drawn. */
export function heightOf(agents: number): number {
  return HEAD_HEIGHT + agents * AGENT_HEIGHT;
}

export function tidyPlaces(design: Design): Map<string, Point> {
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: "LR", nodesep: 40, ranksep: 90 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const block of design.blocks) {
    graph.setNode(block.id, { width: BLOCK_WIDTH, height: heightOf(agentsOf(block).length) });
  }
  for (const { id, source, target } of design.connections) {
    if (graph.hasNode(source) && graph.hasNode(target)) graph.setEdge(source, target, {}, id);
  }
  layout(graph);
  const places = new Map<string, Point>();
  for (const { id } of design.blocks) {
    const { x = 0, y = 0, width, height } = graph.node(id);
    places.set(id, { x: snap(x - width / 2), y: snap(y - height / 2) });
  }
  return places;
}

/** A design of which no block has a place, as programs store them, in plain columns: it would be drawn on one heap. */
export function laidOut(design: Design): Design {
  return design.blocks.some(({ position }) => position) ? design : moveBlocks(design, columnPlaces(design));
}

/** Each block in the column after those that it follows. Tidying takes seconds for hundreds of blocks, and this nothing. */
function columnPlaces(design: Design): Map<string, Point> {
  const columns = columnsOf(design);
  const lengths: number[] = [];
  const places = new Map<string, Point>();
  for (const block of design.blocks) {
    const column = columns.get(block.id) ?? 0;
    const y = lengths[column] ?? 0;
    places.set(block.id, { x: column * (BLOCK_WIDTH + 90), y });
    lengths[column] = y + snap(heightOf(agentsOf(block).length)) + 40;
  }
  return places;
}

function columnsOf(design: Design): Map<string, number> {
  const sources = new Map<string, string[]>(design.blocks.map(({ id }) => [id, []]));
  for (const { source, target } of design.connections) if (sources.has(source)) sources.get(target)?.push(source);
  const columns = new Map<string, number>();
  const columnOf = (id: string): number => {
    const known = columns.get(id);
    if (known !== undefined) return known;
    columns.set(id, 0); // where a draft goes in a circle, it is entered here
    const column = Math.max(0, ...(sources.get(id) ?? []).map((source) => columnOf(source) + 1));
    columns.set(id, column);
    return column;
  };
  for (const { id } of design.blocks) columnOf(id);
  return columns;
}

export type Alignment = "left" | "top";

/** The chosen blocks in one column or one row. */
export function alignedPlaces(design: Design, blockIds: readonly string[], to: Alignment): Map<string, Point> {
  const chosen = design.blocks.filter((block) => blockIds.includes(block.id));
  const places = chosen.map(positionOf);
  const left = Math.min(...places.map(({ x }) => x));
  const top = Math.min(...places.map(({ y }) => y));
  return new Map(
    chosen.map((block) => {
      const { x, y } = positionOf(block);
      return [block.id, to === "left" ? { x: left, y } : { x, y: top }];
    }),
  );
}

/** Where a new block is seen and covers none: to the right of the rightmost one. */
export function freePlace(design: Design): Point {
  if (!design.blocks.length) return { x: 0, y: 0 };
  const places = design.blocks.map(positionOf);
  const right = places.reduce((most, place) => (place.x > most.x ? place : most));
  return { x: right.x + BLOCK_WIDTH + 70, y: right.y };
}

function snap(value: number): number {
  return Math.round(value / GRID) * GRID;
}
