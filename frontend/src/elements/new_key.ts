/** A key for one endpoint: made over the API, and shown this once. */

import { api } from "../client";

export interface NewKey {
  id: string;
  name: string;
  key: string;
}

export function makeKey(deploymentId: string, name: string, scopes?: string[]): Promise<NewKey> {
  // A name is a line of 100 characters.
  return api.post<NewKey>("/api/keys", { name: name.slice(0, 100), deployments: [deploymentId], scopes });
}
