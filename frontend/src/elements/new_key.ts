/** A key for one endpoint: made over the API, and shown this once. */

import { api } from "../client";

export interface NewKey {
  id: string;
  name: string;
  key: string;
}

/** Of each limit its number, money as text; what is left out is no limit. */
export type KeyLimits = Record<string, number | string>;

export function makeKey(
  deploymentId: string,
  name: string,
  scopes?: string[],
  limits: KeyLimits = {},
): Promise<NewKey> {
  // A name is a line of 100 characters.
  return api.post<NewKey>("/api/keys", { name: name.slice(0, 100), deployments: [deploymentId], scopes, limits });
}

/** The key with another secret. The one that it had opens the same for so many seconds still. */
export function rotateKey(id: string, graceSeconds: number): Promise<NewKey> {
  return api.post<NewKey>(`/api/keys/${id}/rotate`, { grace_seconds: graceSeconds });
}
