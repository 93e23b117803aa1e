/** What a design document holds and how its parts are found. Pure: nothing here changes a document in place. */

import type { Agent, Block, Connection, Design, Role } from "../types";

export const ROLES: Role[] = ["manager", "worker", "specialist", "moderator", "reflector"];

export interface Point {
  x: number;
  y: number;
}

export interface PatternInfo {
  title: string;
  /** What it is for, in the palette. */
  about: string;
  /** The agents that a new block begins with, so that it is sound as far as it goes. */
  agents: [name: string, role: Role][];
}

export const PATTERNS: Record<string, PatternInfo> = {
  sequential: { title: "Sequential", about: "One agent after the other", agents: [["Writer", "worker"]] },
  parallel: {
    title: "Parallel",
    about: "All at once, then joined",
    agents: [
      ["First", "worker"],
      ["Second", "worker"],
    ],
  },
  hierarchical: {
    title: "Hierarchical",
    about: "A manager and its workers",
    agents: [
      ["Manager", "manager"],
      ["Worker", "worker"],
    ],
  },
  debate: {
    title: "Debate",
    about: "Positions, revised in rounds",
    agents: [
      ["Advocate", "worker"],
      ["Sceptic", "worker"],
      ["Moderator", "moderator"],
    ],
  },
  routing: {
    title: "Routing",
    about: "The right specialist answers",
    agents: [
      ["Router", "moderator"],
      ["General", "specialist"],
      ["Expert", "specialist"],
    ],
  },
  reflection: {
    title: "Reflection",
    about: "Drafted and reviewed until good",
    agents: [
      ["Writer", "worker"],
      ["Reviewer", "reflector"],
    ],
  },
};

/** How a pattern is shown; one that this page does not know by name is shown by its own. */
export function patternInfo(type: string): PatternInfo {
  return PATTERNS[type] ?? { title: type, about: "", agents: [["Agent", "worker"]] };
}

export function agentsOf(block: Block): Agent[] {
  return block.data.agents ?? [];
}

export function positionOf(block: Block): Point {
  return { x: block.position?.x ?? 0, y: block.position?.y ?? 0 };
}

export function blockById(design: Design, id: string | undefined): Block | undefined {
  return design.blocks.find((block) => block.id === id);
}

/** The wish itself while it is free, else with the first free number behind it. */
export function freeName(wish: string, taken: ReadonlySet<string>, joint = " "): string {
  if (!taken.has(wish)) return wish;
  let number = 2;
  while (taken.has(`${wish}${joint}${number}`)) number += 1;
  return `${wish}${joint}${number}`;
}

/** An id that names can be written with: letters, digits and hyphens. */
export function idFrom(name: string, taken: ReadonlySet<string>): string {
  const plain = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-");
  return freeName(plain.replace(/^-+|-+$/g, "").slice(0, 60) || "block", taken, "-");
}

export function makeBlock(design: Design, type: string, position: Point): Block {
  const info = patternInfo(type);
  const label = freeName(info.title, new Set(design.blocks.map((block) => block.data.label)));
  const id = idFrom(label, new Set(design.blocks.map((block) => block.id)));
  const agents = info.agents.map(([name, role]): Agent => ({ id: idFrom(name, new Set()), name, role }));
  const config = type === "routing" ? { config: { default: "General" } } : {};
  return { id, type, position, data: { label, task: "", agents, ...config } };
}

export function makeAgent(block: Block): Agent {
  const agents = agentsOf(block);
  const name = freeName("Agent", new Set(agents.map((agent) => agent.name)));
  return { id: idFrom(name, new Set(agents.map((agent) => agent.id))), name, role: "worker" };
}

export function makeConnection(design: Design, ends: Omit<Connection, "id">): Connection {
  const taken = new Set(design.connections.map((connection) => connection.id));
  return { id: freeName(`${ends.source}-${ends.target}`.slice(0, 90), taken, "-"), ...ends };
}

/** Whether the same ends are connected already. */
export function isConnected(design: Design, ends: Omit<Connection, "id">): boolean {
  return design.connections.some(
    (one) =>
      one.source === ends.source &&
      one.target === ends.target &&
      (one.source_agent ?? null) === (ends.source_agent ?? null) &&
      (one.target_agent ?? null) === (ends.target_agent ?? null),
  );
}

/** The ids of the blocks whose outputs can reach the block: all that come before it. */
export function upstreamOf(design: Design, blockId: string): Set<string> {
  const sources = new Map<string, string[]>();
  for (const { source, target } of design.connections) sources.set(target, [...(sources.get(target) ?? []), source]);
  const found = new Set<string>();
  const waiting = [...(sources.get(blockId) ?? [])];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    waiting.push(...(sources.get(id) ?? []));
  }
  found.delete(blockId);
  return found;
}

/** The blocks that nothing follows: what they deliver is the design's output. */
export function lastBlocks(design: Design): Block[] {
  const sources = new Set(design.connections.map((connection) => connection.source));
  return design.blocks.filter((block) => !sources.has(block.id));
}
