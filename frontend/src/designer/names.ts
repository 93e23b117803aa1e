/** The names that may stand between double braces in the texts of a block. */

import type { Json } from "../client";
import { isObject } from "../elements/schema_fields";
import type { Design } from "../types";
import { blockById, upstreamOf } from "./document";

export interface TemplateName {
  name: string;
  /** What it stands for. */
  about: string;
}

const DEEPEST = 4;

/** Fields of the input by its schema, and the outputs of the blocks that come before this one. */
export function namesFor(design: Design, blockId: string): TemplateName[] {
  const upstream = upstreamOf(design, blockId);
  const outputs = design.blocks
    .filter((block) => upstream.has(block.id))
    .map((block) => ({ name: `blocks.${block.id}.output`, about: `what ${block.data.label} delivers` }));
  return [...inputNames(design.input_schema ?? null, "input", 0), ...outputs];
}

function inputNames(schema: Json, path: string, depth: number): TemplateName[] {
  const properties = member(schema, "properties");
  if (depth >= DEEPEST || typeof properties !== "object" || properties === null || Array.isArray(properties)) return [];
  return Object.entries(properties).flatMap(([name, below]) => {
    if (/[{}.]/.test(name) || name === "") return [];
    const place = `${path}.${name}`;
    const about = member(below, "description") ?? member(below, "title") ?? "a field of the input";
    return [{ name: place, about: String(about) }, ...inputNames(below, place, depth + 1)];
  });
}

function member(value: Json | undefined, name: string): Json | undefined {
  return isObject(value) ? value[name] : undefined;
}

/** What the schema itself gives as an example, of the whole or of its fields; `start` holds what is left. */
export function exampleOf(schema: Json, start: Json): Json {
  const [whole] = listOf(member(schema, "examples"));
  if (whole !== undefined) return whole;
  const fields = member(schema, "properties");
  if (!isObject(fields) || !isObject(start)) return start;
  const found = Object.entries(fields).flatMap(([name, field]) => {
    const [example] = listOf(member(field, "examples"));
    return example === undefined ? [] : [[name, example] as const];
  });
  return { ...start, ...Object.fromEntries(found) };
}

function listOf(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

/** An input for one block on its own: with a place for all that its texts name. */
export function inputToTry(design: Design, blockId: string): Json {
  const block = blockById(design, blockId);
  const texts = [block?.data.task, ...(block?.data.agents ?? []).map((agent) => agent.system_prompt)].join("\n");
  const input: { [name: string]: Json } = {};
  for (const [, name = ""] of texts.matchAll(/\{\{\s*(input(?:\.[^{}.\s]+)+|blocks\.[^{}.\s]+\.output)\s*\}\}/g)) {
    setAt(input, name.replace(/^input\./, "").split("."));
  }
  return input;
}

function setAt(target: { [name: string]: Json }, path: string[]): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  const below = target[name];
  if (!rest.length) {
    if (below === undefined) target[name] = "";
    return;
  }
  const next = typeof below === "object" && below !== null && !Array.isArray(below) ? below : {};
  target[name] = next;
  setAt(next, rest);
}
