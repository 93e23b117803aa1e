/** The shapes of the REST API, as `/api/schema` describes them. */

import type { Json } from "./client";
import type { FieldProblem } from "./problem";

export type DeploymentStatus = "active" | "inactive" | "error";
export type ExecutionStatus = "queued" | "running" | "completed" | "failed" | "cancelled" | "skipped";
export type TriggerType = "manual" | "scheduled" | "api";

export interface Schedule {
  enabled: boolean;
  cron_expression: string | null;
  interval_seconds: number | null;
  timezone: string;
  day_match: string | null;
  overlap: string;
  catch_up: string;
  catch_up_window_seconds: number | null;
  start_at: string | null;
  end_at: string | null;
  jitter_seconds: number;
  pause_after_failures: number | null;
  input_data: Json;
  readonly next_run_at: string | null;
  readonly words: string;
  readonly paused_by: string | null;
  readonly paused_reason: string | null;
}

export interface Limits {
  rate_count: number | null;
  rate_seconds: number | null;
  max_concurrent: number | null;
  when_full: "queue" | "reject" | null;
  deadline_seconds: number | null;
  max_calls: number | null;
  max_tokens: number | null;
  max_cost_usd: string | null;
  max_payload_bytes: number | null;
  daily_max_tokens: number | null;
  daily_max_cost_usd: string | null;
}

/** How long history is kept: null is the site's default, 0 for ever. */
export interface Retention {
  keep_payload_days: number | null;
  keep_payload_last: number | null;
  keep_history_days: number | null;
  keep_history_last: number | null;
}

export interface Deployment {
  id: string;
  design_id: string;
  design_name: string;
  version: number;
  endpoint_path: string;
  url: string;
  status: DeploymentStatus;
  status_reason: string;
  schedule: Schedule | null;
  limits: Limits;
  retention: Retention;
  last_execution_at: string | null;
  execution_count: number;
  created_at: string;
  updated_at: string;
  updated_by: string;
}

export interface ExecutionEvent {
  seq: number;
  type: string;
  block_id: string | null;
  agent: string | null;
  payload: Record<string, Json>;
  at: string;
}

/** Comes when there is nothing to show, so that a dead connection can be told from a silent one. */
export interface Alive {
  type: "alive";
}

/** A piece of a model's text while it is written: see docs/live.md. */
export interface Delta {
  type: "delta";
  block_id: string;
  agent: string;
  key: string;
  offset: number;
  text: string;
}

export interface Execution {
  id: string;
  execution_id: string;
  deployment_id: string | null;
  design_id: string;
  version: number;
  status: ExecutionStatus;
  error_code: string;
  reason: string;
  trigger_type: TriggerType;
  triggered_by: string;
  input_data?: Json;
  result_data?: Json;
  error: Json;
  usage: Json;
  cost: Json;
  attempt: number;
  parent: string | null;
  scheduled_for: string | null;
  created_at: string;
  started_at: string | null;
  completed_at: string | null;
  duration_ms: number | null;
  events?: ExecutionEvent[];
}

export interface Page<T> {
  results: T[];
  next: string | null;
}

export type Role = "manager" | "worker" | "specialist" | "moderator" | "reflector";

/** A design document, format 1. What is left out is the engine's default. */
export interface Design {
  format?: 1;
  name: string;
  description?: string;
  input_schema?: Json;
  blocks: Block[];
  connections: Connection[];
}

export interface Block {
  id: string;
  type: string;
  position?: { x?: number; y?: number };
  data: BlockData;
}

export interface BlockData {
  label: string;
  task?: string;
  agents?: Agent[];
  config?: { [field: string]: Json };
}

export interface Agent {
  id: string;
  name: string;
  role?: Role;
  system_prompt?: string;
  model?: string | null;
  settings?: { [field: string]: Json };
  output_schema?: Json;
}

export interface Connection {
  id: string;
  source: string;
  target: string;
  source_agent?: string | null;
  target_agent?: string | null;
}

export interface DesignDetail {
  id: string;
  name: string;
  description: string;
  team: string;
  document: Design;
  problems: FieldProblem[];
  revision: number;
  latest_version: number | null;
  created_by: string;
  created_at: string;
  updated_at: string;
}

export interface VersionSummary {
  number: number;
  content_hash: string;
  created_by: string;
  created_at: string;
}

export interface DesignVersion extends VersionSummary {
  document: Design;
}
