/** Blocks with the connections between them, as text that can be pasted into this design or another. */

import type { Block, Connection, Design } from "../types";
import { freeName, idFrom, positionOf } from "./document";

export interface Fragment {
  blocks: Block[];
  connections: Connection[];
}

const KIND = "orchestration-blocks";
const OFFSET = 40;

export function copy(design: Design, blockIds: readonly string[]): Fragment {
  const chosen = new Set(blockIds);
  return {
    blocks: design.blocks.filter((block) => chosen.has(block.id)),
    connections: design.connections.filter((one) => chosen.has(one.source) && chosen.has(one.target)),
  };
}

export function toText(fragment: Fragment): string {
  return JSON.stringify({ kind: KIND, ...fragment }, null, 2);
}

/** Undefined when the text is something else. */
export function fromText(text: string): Fragment | undefined {
  try {
    const read = JSON.parse(text) as { kind?: string } & Fragment;
    const isOurs = read.kind === KIND && Array.isArray(read.blocks) && Array.isArray(read.connections);
    return isOurs ? { blocks: read.blocks, connections: read.connections } : undefined;
  } catch {
    return undefined;
  }
}

/** The design with the fragment, and the ids of the new blocks. Ids, labels and the names in texts become new ones. */
export function paste(design: Design, fragment: Fragment): [Design, string[]] {
  const ids = new Set(design.blocks.map((block) => block.id));
  const labels = new Set(design.blocks.map((block) => block.data.label));
  const renamed = new Map<string, string>();
  for (const { id } of fragment.blocks) {
    const fresh = idFrom(id, ids);
    ids.add(fresh);
    renamed.set(id, fresh);
  }
  const blocks = fragment.blocks.map((block) => {
    const label = freeName(block.data.label, labels);
    labels.add(label);
    return pastedBlock(block, label, renamed);
  });
  const taken = new Set(design.connections.map((one) => one.id));
  const connections = fragment.connections.map((one) => pastedConnection(one, renamed, taken));
  const pasted = {
    ...design,
    blocks: [...design.blocks, ...blocks],
    connections: [...design.connections, ...connections],
  };
  return [pasted, blocks.map((block) => block.id)];
}

function pastedBlock(block: Block, label: string, renamed: ReadonlyMap<string, string>): Block {
  const { x, y } = positionOf(block);
  const data = { ...block.data, label };
  if (data.task !== undefined) data.task = renameIn(data.task, renamed);
  if (data.agents) {
    data.agents = data.agents.map((agent) =>
      agent.system_prompt === undefined ? agent : { ...agent, system_prompt: renameIn(agent.system_prompt, renamed) },
    );
  }
  return { ...block, id: renamed.get(block.id) ?? block.id, position: { x: x + OFFSET, y: y + OFFSET }, data };
}

function pastedConnection(one: Connection, renamed: ReadonlyMap<string, string>, taken: Set<string>): Connection {
  const source = renamed.get(one.source) ?? one.source;
  const target = renamed.get(one.target) ?? one.target;
  const id = freeName(`${source}-${target}`.slice(0, 90), taken, "-");
  taken.add(id);
  return { ...one, id, source, target };
}

function renameIn(text: string, renamed: ReadonlyMap<string, string>): string {
  return text.replace(/(\{\{\s*blocks\.)([^{}]+?)(\.output\s*\}\})/g, (whole, before, id, after) =>
    renamed.has(id) ? `${before}${renamed.get(id)}${after}` : whole,
  );
}
