/** What was not saved yet, kept in this browser. */

import type { Kept } from "./saving";

const nameOf = (designId: string) => `design-draft:${designId}`;

export function keepDraft(designId: string, kept: Kept | undefined): void {
  try {
    if (kept) localStorage.setItem(nameOf(designId), JSON.stringify(kept));
    else localStorage.removeItem(nameOf(designId));
  } catch {
    // The browser's storage is full or forbidden: the page itself still holds the draft.
  }
}

export function keptDraft(designId: string): Kept | undefined {
  try {
    const text = localStorage.getItem(nameOf(designId));
    return text ? (JSON.parse(text) as Kept) : undefined;
  } catch {
    return undefined;
  }
}
