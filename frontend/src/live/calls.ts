/** Which call a piece of text or an event belongs to: pieces name it by a key, events by their payload. */

import type { ExecutionEvent } from "../types";

/** A key is `block/phase/round/agent-id`, and `/1` and so on behind it for the repairs of its answer. */
const KEY = /^([^/]+\/[^/]+\/\d+)\/[^/]+(?:\/(\d+))?$/;

export function callOf(key: string, agent: string): string {
  const [, place, repair] = KEY.exec(key) ?? [key, key, undefined];
  return `${place}|${agent}|${repair ?? 0}`;
}

export function callOfEvent({ block_id, agent, payload }: ExecutionEvent): string {
  return `${block_id}/${payload.phase}/${payload.round}|${agent}|${payload.repair ?? 0}`;
}
