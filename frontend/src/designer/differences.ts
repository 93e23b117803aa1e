/** What differs between two documents of one design, for a person. */

import type { Block, Design } from "../types";

export interface Difference {
  kind: "added" | "removed" | "changed";
  what: string;
}

/** From the first to the second. Places on the canvas do not count: they change nothing that runs. */
export function differences(from: Design, to: Design): Difference[] {
  return [...fieldDifferences(from, to), ...blockDifferences(from, to), ...connectionDifferences(from, to)];
}

/** Whether two documents say the same, whatever the order of their fields. */
export function isSameDocument(one: unknown, other: unknown): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => [name, sorted(member)] as const);
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function same(one: unknown, other: unknown): boolean {
  return isSameDocument(one, other);
}

function fieldDifferences(from: Design, to: Design): Difference[] {
  const fields = { name: "Name", description: "Description", input_schema: "Input schema" } as const;
  const changed = (Object.keys(fields) as (keyof typeof fields)[]).filter((name) => !same(from[name], to[name]));
  return changed.map((name) => ({ kind: "changed", what: fields[name] }));
}

function blockDifferences(from: Design, to: Design): Difference[] {
  const before = new Map(from.blocks.map((block) => [block.id, block]));
  const after = new Set(to.blocks.map((block) => block.id));
  const found: Difference[] = [];
  for (const block of to.blocks) {
    const earlier = before.get(block.id);
    if (!earlier) found.push({ kind: "added", what: `Block ${block.data.label}` });
    else if (partsChanged(earlier, block).length) {
      found.push({ kind: "changed", what: `Block ${block.data.label}: ${partsChanged(earlier, block).join(", ")}` });
    }
  }
  for (const block of from.blocks) {
    if (!after.has(block.id)) found.push({ kind: "removed", what: `Block ${block.data.label}` });
  }
  return found;
}

function partsChanged(from: Block, to: Block): string[] {
  const parts = from.type === to.type ? [] : ["pattern"];
  const names = { label: "label", task: "task", agents: "agents", config: "settings" } as const;
  for (const [field, word] of Object.entries(names) as [keyof typeof names, string][]) {
    if (!same(from.data[field], to.data[field])) parts.push(word);
  }
  return parts;
}

function connectionDifferences(from: Design, to: Design): Difference[] {
  const named = (design: Design) => {
    const labels = new Map(design.blocks.map((block) => [block.id, block.data.label]));
    const end = (block: string, agent: string | null | undefined) =>
      `${labels.get(block) ?? block}${agent ? ` (${agent})` : ""}`;
    return new Map(
      design.connections.map((one) => [
        [one.source, one.source_agent ?? "", one.target, one.target_agent ?? ""].join("\n"),
        `Connection ${end(one.source, one.source_agent)} → ${end(one.target, one.target_agent)}`,
      ]),
    );
  };
  const [before, after] = [named(from), named(to)];
  const added = [...after].filter(([key]) => !before.has(key)).map(([, what]) => ({ kind: "added" as const, what }));
  const gone = [...before].filter(([key]) => !after.has(key)).map(([, what]) => ({ kind: "removed" as const, what }));
  return [...added, ...gone];
}
