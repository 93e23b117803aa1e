/** What a run has come to so far, from its events. Pure. */

import type { Json } from "../client";
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
  /** One for each call of a model, by its key or, where only its end is known, by its agent; in order of appearance. */
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

function endedRun(run: RunState, status: RunState["status"], event: ExecutionEvent): RunState {
  const error = status === "completed" ? undefined : endSentence(event) || "The execution's page says why.";
  // What its end cut short runs no more.
  const blocks = new Map([...run.blocks].map(([id, state]) => [id, state === "running" ? "cancelled" : state]));
  return { ...run, status, error, blocks };
}

function decisionOf({ block_id: block, payload }: ExecutionEvent): Decision {
  return { block: block ?? "", words: decisionSentence(payload) };
}
