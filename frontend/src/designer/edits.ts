/** Every change of a design: from one document to the next. What did not change stays the same object. */

import type { Agent, Block, BlockData, Connection, Design } from "../types";
import { agentsOf, isConnected, makeAgent, makeConnection, type Point } from "./document";

export type Patch<T> = { [Field in keyof T]?: T[Field] | undefined };

/** The value with the fields of the patch; a field that becomes undefined is left out. */
export function patched<T extends object>(value: T, patch: Patch<T>): T {
  const result: Record<string, unknown> = { ...value, ...patch };
  for (const name of Object.keys(patch)) if (result[name] === undefined) delete result[name];
  return result as T;
}

function mapBlock(design: Design, id: string, change: (block: Block) => Block): Design {
  return { ...design, blocks: design.blocks.map((block) => (block.id === id ? change(block) : block)) };
}

export function patchBlock(design: Design, id: string, patch: Patch<BlockData>): Design {
  return mapBlock(design, id, (block) => ({ ...block, data: patched(block.data, patch) }));
}

export function moveBlocks(design: Design, places: ReadonlyMap<string, Point>): Design {
  const blocks = design.blocks.map((block) => {
    const place = places.get(block.id);
    return place ? { ...block, position: place } : block;
  });
  return { ...design, blocks };
}

export function connect(design: Design, ends: Omit<Connection, "id">): Design {
  if (ends.source === ends.target || isConnected(design, ends)) return design;
  return { ...design, connections: [...design.connections, makeConnection(design, ends)] };
}

export function patchConnection(design: Design, id: string, patch: Patch<Connection>): Design {
  const connections = design.connections.map((one) => (one.id === id ? patched(one, patch) : one));
  return { ...design, connections };
}

/** Without these, and without the connections that would lead nowhere. */
export function remove(design: Design, blockIds: readonly string[], connectionIds: readonly string[]): Design {
  const blocks = new Set(blockIds);
  const gone = new Set(connectionIds);
  return {
    ...design,
    blocks: design.blocks.filter((block) => !blocks.has(block.id)),
    connections: design.connections.filter(
      (one) => !gone.has(one.id) && !blocks.has(one.source) && !blocks.has(one.target),
    ),
  };
}

function setAgents(design: Design, blockId: string, change: (agents: Agent[]) => Agent[]): Design {
  return mapBlock(design, blockId, (block) => ({
    ...block,
    data: { ...block.data, agents: change(agentsOf(block)) },
  }));
}

export function addAgent(design: Design, blockId: string): Design {
  return mapBlock(design, blockId, (block) => ({
    ...block,
    data: { ...block.data, agents: [...agentsOf(block), makeAgent(block)] },
  }));
}

/** Configs name agents by their names: they follow when one is renamed. */
export function patchAgent(design: Design, blockId: string, index: number, patch: Patch<Agent>): Design {
  const before = design.blocks.find((block) => block.id === blockId)?.data.agents?.[index];
  const changed = setAgents(design, blockId, (agents) =>
    agents.map((agent, place) => (place === index ? patched(agent, patch) : agent)),
  );
  if (!before || patch.name === undefined || patch.name === before.name || before.name === "") return changed;
  const name = patch.name;
  return mapBlock(changed, blockId, (block) => renamedInConfig(block, before.name, name));
}

function renamedInConfig(block: Block, from: string, to: string): Block {
  const config = block.data.config;
  if (!config) return block;
  const follow = (value: unknown, field: string): unknown => {
    if (Array.isArray(value)) return value.map((item) => follow(item, field));
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, follow(member, name)]));
    }
    return NAMING_FIELDS.has(field) && value === from ? to : value;
  };
  return { ...block, data: { ...block.data, config: follow(config, "") as NonNullable<BlockData["config"]> } };
}

/** The fields of the patterns' configs that hold agents' names. */
const NAMING_FIELDS = new Set(["default", "specialist", "must_consult", "context"]);

/** Its connections are the whole block's from then on. */
export function removeAgent(design: Design, blockId: string, index: number): Design {
  const gone = design.blocks.find((block) => block.id === blockId)?.data.agents?.[index]?.id;
  const rest = setAgents(design, blockId, (agents) => agents.filter((_, place) => place !== index));
  const connections = rest.connections.map((one) => {
    const patch: Patch<Connection> = {};
    if (one.source === blockId && one.source_agent === gone) patch.source_agent = undefined;
    if (one.target === blockId && one.target_agent === gone) patch.target_agent = undefined;
    return Object.keys(patch).length ? patched(one, patch) : one;
  });
  return { ...rest, connections };
}

export function moveAgent(design: Design, blockId: string, index: number, by: -1 | 1): Design {
  return setAgents(design, blockId, (agents) => {
    const [moved] = agents.slice(index, index + 1);
    const place = index + by;
    if (!moved || place < 0 || place >= agents.length) return agents;
    const rest = agents.filter((agent) => agent !== moved);
    return [...rest.slice(0, place), moved, ...rest.slice(place)];
  });
}
