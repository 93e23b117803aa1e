/** What a run has come to so far, from its events. Pure. */

import type { Json } from "../client";
import { callOf, callOfEvent } from "../live/calls";
import { decisionSentence } from "../live/decisions";
import { type BlockState, blockStateOf, endOf, endSentence } from "../live/progress";
import type { ExecutionEvent } from "../types";

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
  status: "queued" | "running" | "completed" | "failed" | "cancelled" | "skipped";
  blocks: ReadonlyMap<string, BlockState>;
  /** One for each call of a model, in order of appearance. */
  texts: ReadonlyMap<string, AgentText>;
  decisions: readonly Decision[];
  error: string | undefined;
}

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
  const end = endOf(event);
  if (end) return endedRun(run, end, event);
  const state = blockStateOf(event);
  if (state && event.block_id) {
    return { ...run, status: "running", blocks: new Map(run.blocks).set(event.block_id, state) };
  }
  if (event.type === "decision") return { ...run, decisions: [...run.decisions, decisionOf(event)] };
  if (event.type === "agent.completed" || event.type === "agent.failed") {
    return { ...run, status: "running", texts: withOutput(run.texts, event) };
  }
  return { ...run, status: "running" };
}

/** A piece that comes behind its call's result, on another way, changes nothing any more. */
export function withText(run: RunState, block: string, agent: string, key: string, text: string): RunState {
  const call = callOf(key, agent);
  if (isOver(run) || run.texts.get(call)?.isDone) return run;
  return { ...run, texts: new Map(run.texts).set(call, { block, agent, text, isDone: false }) };
}

function withOutput(texts: RunState["texts"], event: ExecutionEvent): RunState["texts"] {
  const { block_id: block, agent, payload } = event;
  if (!block || !agent) return texts;
  const call = callOfEvent(event);
  const text = payload.output === undefined ? (texts.get(call)?.text ?? "") : asText(payload.output);
  return new Map(texts).set(call, { block, agent, text, isDone: true });
}

export function asText(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function endedRun(run: RunState, status: RunState["status"], event: ExecutionEvent): RunState {
  const error = status === "completed" ? undefined : endSentence(event) || "The execution's page says why.";
  // What its end cut short runs no more.
  const blocks = new Map([...run.blocks].map(([id, state]) => [id, state === "running" ? "cancelled" : state]));
  const texts = new Map([...run.texts].map(([call, text]) => [call, { ...text, isDone: true }]));
  return { ...run, status, error, blocks, texts };
}

function decisionOf({ block_id: block, payload }: ExecutionEvent): Decision {
  return { block: block ?? "", words: decisionSentence(payload) };
}
