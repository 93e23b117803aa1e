/** What an execution has come to, from its events: the state of each block, what was used, and what was decided. */

import type { Json } from "../client";
import type { ExecutionEvent, ExecutionStatus } from "../types";
import { retrySentence } from "./decisions";

export type BlockState = "waiting" | "running" | "completed" | "failed" | "skipped" | "cancelled";
export interface BlockProgress {
  state: BlockState;
  /** Taken over from the execution that this one runs again. */
  reused: boolean;
  /** Why it failed, or what it waits for. */
  note: string;
}
export interface Used {
  calls: number;
  tokens: number;
  /** USD; null when no price is known. */
  cost: number | null;
}
type Payload = Record<string, Json>;

type EndStatus = "completed" | "failed" | "cancelled" | "skipped";
const ENDS: Record<string, EndStatus> = {
  "execution.completed": "completed",
  "execution.failed": "failed",
  "execution.cancelled": "cancelled",
  "execution.skipped": "skipped",
};

/** What an execution has ended as, where the event is its last one. */
export function endOf({ type }: ExecutionEvent): EndStatus | undefined {
  return ENDS[type];
}

/** Why it ended so: empty where there is nothing to say. */
export function endSentence({ payload }: ExecutionEvent): string {
  return text(payload.message) || (payload.by ? `Cancelled by ${text(payload.by)}.` : text(payload.reason));
}

/** What a block has come to, where the event is about a block as a whole. */
export function blockStateOf({ type }: ExecutionEvent): BlockState | undefined {
  if (!type.startsWith("block.")) return undefined;
  return type === "block.started" ? "running" : (type.slice("block.".length) as BlockState);
}

export class Progress {
  status: ExecutionStatus | "cancelling" = "queued";
  message = "";
  acceptedAt = "";
  startedAt = "";
  endedAt = "";
  readonly blocks = new Map<string, BlockProgress>();
  readonly decisions: ExecutionEvent[] = [];
  readonly warnings: string[] = [];
  used: Used = { calls: 0, tokens: 0, cost: 0 };

  get hasEnded(): boolean {
    return this.endedAt !== "";
  }

  /** How long it has run, in milliseconds; since it was accepted, where it has not started. */
  elapsed(now: number): number {
    const from = this.startedAt || this.acceptedAt;
    return from ? Math.max(0, (this.endedAt ? Date.parse(this.endedAt) : now) - Date.parse(from)) : 0;
  }

  take(event: ExecutionEvent): void {
    const { type, payload } = event;
    if (type.startsWith("block.")) this.#takeBlock(event);
    else if (type.startsWith("agent.")) this.#takeCall(event);
    else if (type === "decision") this.decisions.push(event);
    else if (type === "execution.warning") this.warnings.push(text(payload.message));
    else this.#takeExecution(event);
  }

  #takeExecution(event: ExecutionEvent): void {
    const { type, at } = event;
    if (endOf(event)) this.#end(event);
    else if (type === "execution.accepted") this.acceptedAt = at;
    else if (type === "execution.cancel_requested") this.status = "cancelling";
    else {
      this.startedAt ||= at;
      if (this.status === "queued") this.status = "running";
    }
  }

  #end(event: ExecutionEvent): void {
    const { payload, at } = event;
    this.status = endOf(event) ?? this.status;
    this.endedAt = at;
    this.message = endSentence(event);
    if (payload.usage) this.used = readUsed(payload, 0);
    for (const block of this.blocks.values()) if (block.state === "running") block.state = "cancelled";
  }

  #takeBlock(event: ExecutionEvent): void {
    const { block_id, payload } = event;
    const state = blockStateOf(event) ?? "waiting";
    const note = text(payload.message) || text(payload.reason);
    this.blocks.set(block_id ?? "", { state, reused: "reused" in payload, note });
  }

  #takeCall({ type, block_id, agent, payload }: ExecutionEvent): void {
    const block = this.blocks.get(block_id ?? "");
    if (block) block.note = type === "agent.retrying" ? retrySentence(agent ?? "", payload) : "";
    if ((type !== "agent.completed" && type !== "agent.failed") || "reused" in payload) return;
    const { calls, tokens, cost } = readUsed(payload, Number(payload.tries ?? 1));
    const known = this.used.cost === null || cost === null ? null : this.used.cost + cost;
    this.used = { calls: this.used.calls + calls, tokens: this.used.tokens + tokens, cost: known };
  }
}

function readUsed(payload: Payload, calls: number): Used {
  const usage = (payload.usage ?? {}) as Record<string, number>;
  return {
    calls: usage.calls ?? calls,
    tokens: (usage.input_tokens ?? 0) + (usage.output_tokens ?? 0),
    cost: typeof payload.cost === "string" ? Number(payload.cost) : null,
  };
}

function text(value: Json | undefined): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
