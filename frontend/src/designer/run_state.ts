/** What a run has come to so far, from its events. Pure. */

import type { Json } from "../client";
import type { ExecutionEvent } from "../types";

export type BlockState = "running" | "completed" | "failed" | "skipped";

export interface AgentText {
  block: string;
  agent: string;
  text: string;
  isDone: boolean;
}

export interface Decision {
  block: string;
  words: string;
}

export interface RunState {
  executionId: string;
  status: "queued" | "running" | "completed" | "failed" | "cancelled";
  blocks: ReadonlyMap<string, BlockState>;
  /** One for each call of a model, by its key or, where only its end is known, by its agent; in order of appearance. */
  texts: ReadonlyMap<string, AgentText>;
  decisions: readonly Decision[];
  error: string | undefined;
}

const BLOCK_STATES: Record<string, BlockState> = {
  "block.started": "running",
  "block.completed": "completed",
  "block.failed": "failed",
  "block.skipped": "skipped",
};
const ENDS: Record<string, RunState["status"]> = {
  "execution.completed": "completed",
  "execution.failed": "failed",
  "execution.cancelled": "cancelled",
};

export function startingRun(executionId: string): RunState {
  return {
    executionId,
    status: "queued",
    blocks: new Map(),
    texts: new Map(),
    decisions: [],
    error: undefined,
  };
}

export function isOver(run: RunState): boolean {
  return run.status !== "queued" && run.status !== "running";
}

export function withEvent(run: RunState, event: ExecutionEvent): RunState {
  const end = ENDS[event.type];
  if (end) return { ...run, status: end, error: end === "completed" ? undefined : messageOf(event.payload) };
  const state = BLOCK_STATES[event.type];
  if (state && event.block_id) {
    return { ...run, status: "running", blocks: new Map(run.blocks).set(event.block_id, state) };
  }
  if (event.type === "decision") return { ...run, decisions: [...run.decisions, decisionOf(event)] };
  if (event.type === "agent.completed") return { ...run, texts: withOutput(run.texts, event) };
  return { ...run, status: "running" };
}

export function withText(run: RunState, block: string, agent: string, key: string, text: string): RunState {
  return { ...run, texts: new Map(run.texts).set(key, { block, agent, text, isDone: false }) };
}

function withOutput(texts: RunState["texts"], event: ExecutionEvent): RunState["texts"] {
  const { block_id: block, agent, payload } = event;
  if (!block || !agent) return texts;
  const streamed = [...texts].find(([, one]) => one.block === block && one.agent === agent && !one.isDone)?.[0];
  const key = streamed ?? `${block}/${agent}/${event.seq}`;
  const text = payload.output === undefined ? (texts.get(key)?.text ?? "") : asText(payload.output);
  return new Map(texts).set(key, { block, agent, text, isDone: true });
}

export function asText(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function messageOf(payload: Record<string, Json>): string {
  for (const name of ["message", "error", "reason"]) {
    const value = payload[name];
    if (typeof value === "string" && value) return value;
  }
  return "The execution's page says why.";
}

/** What was decided in a block, in a line: the execution's page shows it whole. */
function decisionOf({ block_id: block, payload }: ExecutionEvent): Decision {
  return { block: block ?? "", words: JSON.stringify(payload).slice(0, 300) };
}
