/** What the server tells the canvas beside the draft. */

import type { Json } from "../client";

export interface PageData {
  design_id: string;
  list_url: string;
  /** The JSON Schema of each pattern's config. */
  patterns: Record<string, Json>;
  settings_schema: Json;
  default_model: string;
  models: string[];
  accounts: string[];
  may: { change: boolean; execute: boolean; deploy: boolean };
}

export function readPageData(): PageData {
  const block = document.getElementById("designer-page");
  return JSON.parse(block?.textContent ?? "null") as PageData;
}
