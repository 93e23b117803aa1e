/** The API by what it is for. Every function raises `ApiError`. */

import { api, type Json } from "./client";
import type { FieldProblem } from "./problem";
import type { Deployment, DesignDetail, DesignVersion, Execution, Page, Schedule, VersionSummary } from "./types";

export { ApiError } from "./problem";

export type NewSchedule = Partial<Omit<Schedule, "next_run_at" | "words" | "paused_by" | "paused_reason">>;
export type DeploymentChanges = { status?: "active" | "inactive"; schedule?: NewSchedule | null } & Record<
  string,
  unknown
>;
export interface NewDeployment {
  design_id: string;
  endpoint_path: string;
  version: number | "latest";
  schedule: NewSchedule | null;
}
/** What was answered, and the ETag that the next change is made on. */
export interface Tagged<T> {
  data: T;
  etag: string;
}

/** An execution that was accepted, and where it is looked at. */
export interface Accepted {
  execution_id: string;
  status: string;
  url: string;
}

export const deploymentApi = {
  deploy: (designId: string, endpointPath: string, schedule?: NewSchedule) =>
    api.post<Deployment>("/api/deployments", { design_id: designId, endpoint_path: endpointPath, schedule }),

  deployAs: (wanted: NewDeployment) => api.post<Deployment>("/api/deployments", wanted),

  getDeployments: () => api.get<Page<Deployment>>("/api/deployments"),

  getDeployment: (id: string) => api.get<Deployment>(`/api/deployments/${id}`),

  updateDeployment: (id: string, updates: DeploymentChanges) => api.put<Deployment>(`/api/deployments/${id}`, updates),

  /** Of schedule and limits only the given fields; raises the 412 when another than the tagged revision is stored. */
  changeDeployment: (id: string, changes: DeploymentChanges, etag: string) =>
    tagged<Deployment>(api.send("PATCH", `/api/deployments/${id}`, changes, { headers: { "If-Match": etag } })),

  getTagged: (id: string) => tagged<Deployment>(api.send("GET", `/api/deployments/${id}`, undefined, {})),

  deleteDeployment: (id: string) => api.delete(`/api/deployments/${id}`),

  /** Accepted at once; its progress is watched over a socket. Repeated under the same `key` it is one execution. */
  executeDeployment: (id: string, inputData?: Json, key?: string) =>
    api.post<Accepted>(
      `/api/deployments/${id}/execute`,
      { input_data: inputData },
      { headers: { Prefer: "respond-async", ...(key && { "Idempotency-Key": key }) } },
    ),

  getExecutionLogs: (deploymentId: string, limit?: number) =>
    api.get<Page<Execution>>(`/api/deployments/${deploymentId}/logs`, limit === undefined ? {} : { params: { limit } }),

  getExecutionLog: (deploymentId: string, logId: string) =>
    api.get<Execution>(`/api/deployments/${deploymentId}/logs/${logId}`),
};

async function tagged<T>(sent: Promise<{ data: unknown; headers: Headers }>): Promise<Tagged<T>> {
  const { data, headers } = await sent;
  return { data: data as T, etag: headers.get("ETag") ?? "*" };
}

export const executionApi = {
  get: (id: string) => api.get<Execution>(`/api/executions/${id}`),
  cancel: (id: string) => api.post<Json>(`/api/executions/${id}/cancel`),
  /** `from`: "start", "failed" or a block's id. Without an input it is the one that the execution was given. */
  rerun: (id: string, from: string, inputData?: Json) =>
    api.post<Execution>(`/api/executions/${id}/rerun`, { from, input_data: inputData }),
};

/** A design as it was read or saved, and the ETag by which the next save says what it has seen. */
export interface ReadDesign {
  design: DesignDetail;
  etag: string;
}

async function sendDesign(method: string, path: string, body?: unknown, headers = {}): Promise<ReadDesign> {
  const answer = await api.send<DesignDetail>(method, path, body, { headers });
  return { design: answer.data, etag: answer.headers.get("ETag") ?? "" };
}

export const designApi = {
  get: (id: string) => sendDesign("GET", `/api/designs/${id}`),
  /** Without a team's name it belongs to the one that is meant: see `?team=` of the API. */
  create: (document: unknown, team = "") =>
    api.post<DesignDetail>(team ? `/api/designs?team=${encodeURIComponent(team)}` : "/api/designs", document),
  save: (id: string, document: unknown, etag: string) =>
    sendDesign("PUT", `/api/designs/${id}`, document, { "If-Match": etag }),
  remove: (id: string) => api.delete(`/api/designs/${id}`),
  validate: (document: unknown) => api.post<{ problems: FieldProblem[] }>("/api/designs/validate", document),
  /** The draft's document as it is stored, for a file: the audit says that it was taken. */
  export: (id: string) => api.get<Json>(`/api/designs/${id}/export`),
  getVersions: (id: string) => api.get<Page<VersionSummary>>(`/api/designs/${id}/versions`),
  getVersion: (id: string, number: number) => api.get<DesignVersion>(`/api/designs/${id}/versions/${number}`),
  /** Runs what is saved, or one block of it; accepted at once. */
  execute: (id: string, inputData: Json, blockId?: string) =>
    api.post<Accepted>(
      `/api/designs/${id}/execute`,
      { input_data: inputData, block_id: blockId },
      { headers: { Prefer: "respond-async" } },
    ),
  getSample: (address: string) => api.get<Json>(address),
};
