/** A decision of a block as a sentence: who decided what, how surely, and why. */

import type { Json } from "../client";
import type { ExecutionEvent } from "../types";

type Payload = Record<string, Json>;

/** A decision, a warning or another try, as a sentence. */
export function eventSentence({ type, agent, payload }: ExecutionEvent): string {
  if (type === "decision") return decisionSentence(payload);
  if (type === "agent.retrying") return retrySentence(agent ?? "", payload);
  return `Warning: ${shown(payload.message)}`;
}

export function retrySentence(agent: string, payload: Payload): string {
  return `${agent} tries again in ${shown(payload.wait_seconds)} s: ${shown(payload.reason)}`;
}

export function decisionSentence(payload: Payload): string {
  if (Array.isArray(payload.chosen)) return routeSentence(payload, payload.chosen);
  if (typeof payload.verdict === "string") return judgementSentence(payload);
  if ("plan" in payload || Array.isArray(payload.assignments)) return planSentence(payload);
  if (Array.isArray(payload.branches)) return joinSentence(payload, payload.branches);
  if ("passed" in payload) return scoreSentence(payload);
  if ("agreement" in payload) return `Agreement of ${shown(payload.agreement)}.${stopped(payload)}`;
  if ("answer" in payload) return `The vote chose ${shown(payload.answer)}.`;
  if (typeof payload.position_kept === "string")
    return `${shown(payload.agent)} kept its position. ${shown(payload.error)}`;
  if (Array.isArray(payload.assigned))
    return `Assigned to ${list(payload.assigned)} at the end. ${shown(payload.reason)}`;
  return [payload.message, payload.reason, payload.error].map(shown).find(Boolean) ?? JSON.stringify(payload);
}

function routeSentence(payload: Payload, chosen: Json[]): string {
  const named = list(chosen);
  if (payload.by === "rule") return `A rule chose ${named}: ${shown(payload.reason)}`;
  if (payload.by === "default") return `The default ${named} was taken: ${shown(payload.reason)}`;
  return `The router chose ${named}${confidenceIn(payload, chosen)}, because: ${shown(payload.reason)}`;
}

function confidenceIn(payload: Payload, chosen: Json[]): string {
  const routes = Array.isArray(payload.routes) ? (payload.routes as Payload[]) : [];
  const scores = chosen.map((name) => routes.find((route) => route.specialist === name)?.confidence);
  const known = scores.filter((score) => typeof score === "number");
  return known.length ? `, ${known.map((score) => score.toFixed(2)).join(" and ")}` : "";
}

function judgementSentence(payload: Payload): string {
  const what = `${shown(payload.verdict)} the work of ${shown(payload.judged)} on assignment ${shown(payload.assignment)}`;
  const why = shown(payload.reason) || shown(payload.feedback);
  return `The manager decided: ${what}.${why ? ` ${why}` : ""}`;
}

function planSentence(payload: Payload): string {
  if (payload.fallback === true) return "The manager's plan was not valid: every worker gets the task.";
  const assignments = Array.isArray(payload.assignments) ? (payload.assignments as Payload[]) : [];
  const workers = assignments.map((assignment) => shown(assignment.worker)).filter(Boolean);
  return workers.length
    ? `The manager gave work to ${list([...new Set(workers)])}.`
    : "The manager has no more work to give.";
}

function joinSentence(payload: Payload, branches: Json[]): string {
  const rule = payload.join === "all" ? "" : ` (${shown(payload.join)})`;
  return `Joined ${branches.length} branches${rule}.${stopped(payload)}`;
}

function scoreSentence(payload: Payload): string {
  const score = typeof payload.score === "number" ? ` with a score of ${payload.score.toFixed(2)}` : "";
  return payload.passed === true ? `The draft passed${score}.` : `The draft did not pass${score}.`;
}

function stopped(payload: Payload): string {
  const reason = payload.stopped_reason;
  return typeof reason === "string" && reason !== "done" ? ` Ended: ${reason.replaceAll("_", " ")}.` : "";
}

function list(names: Json[]): string {
  return names.map(shown).join(" and ");
}

function shown(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
