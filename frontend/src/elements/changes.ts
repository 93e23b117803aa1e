/** What somebody has changed of a deployment's settings: field by field, so that two people's changes can be told apart. */

import type { NewSchedule } from "../api";
import type { Json } from "../client";
import type { Deployment } from "../types";

/** What a form shows of a deployment. */
export interface Settings {
  status: string;
  schedule: NewSchedule | null;
  limits: Record<string, Json>;
  retention: Record<string, Json>;
}

/** What the server sets of a schedule; it is no change of a person's. */
const NOT_SET = ["words", "next_run_at", "paused_by", "paused_reason", "paused_at"];

export function settingsOf(deployment: Deployment): Settings {
  const { status, schedule, limits, retention } = deployment;
  return {
    status,
    schedule,
    limits: limits as unknown as Record<string, Json>,
    retention: retention as unknown as Record<string, Json>,
  };
}

/** The smallest change that makes `before` into `after`; undefined where nothing differs. */
export function changesFrom(before: Settings, after: Settings): Record<string, unknown> | undefined {
  const changes: Record<string, unknown> = {};
  if (after.status !== before.status) changes.status = after.status;
  const schedule = ofSchedule(before.schedule, after.schedule);
  if (schedule !== undefined) changes.schedule = schedule;
  const limits = ofFields(before.limits, after.limits);
  if (Object.keys(limits).length) changes.limits = limits;
  const retention = ofFields(before.retention, after.retention);
  if (Object.keys(retention).length) changes.retention = retention;
  return Object.keys(changes).length ? changes : undefined;
}

/** Those changes in words, one a line: `schedule, cron expression: 0 9 * * *`. */
export function changesInWords(before: Settings, after: Settings): string[] {
  const changes = changesFrom(before, after) ?? {};
  return Object.entries(changes).flatMap(([name, value]) => {
    if (value === null || typeof value !== "object") return [`${name}: ${shown(value)}`];
    return Object.entries(value).map(([inner, of]) => `${name}, ${inner.replaceAll("_", " ")}: ${shown(of)}`);
  });
}

function ofSchedule(before: NewSchedule | null, after: NewSchedule | null): object | null | undefined {
  if (after === null) return before === null ? undefined : null;
  const changes = ofFields(before ?? {}, after);
  for (const name of NOT_SET) delete changes[name];
  return Object.keys(changes).length ? changes : undefined;
}

function ofFields(before: object, after: object): Record<string, unknown> {
  const was = before as Record<string, unknown>;
  return Object.fromEntries(Object.entries(after).filter(([name, value]) => !same(was[name], value)));
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}

function shown(value: unknown): string {
  if (value === null || value === "") return "none";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
