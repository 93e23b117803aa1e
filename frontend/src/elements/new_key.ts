/** A key for one endpoint: made over the API, and shown this once. Other secrets are shown the same way. */

import { api } from "../client";
import { make } from "./make";
import { guardUnsaved, type Question } from "./unsaved";

export interface NewKey {
  id: string;
  name: string;
  key: string;
}

/** Of each limit its number, money as text; what is left out is no limit. */
export type KeyLimits = Record<string, number | string>;

const SHOWN_ONCE: Question = {
  title: "Close without the key?",
  words: "A new key was not copied yet. It is shown only here and only now: closing loses it for good.",
  keep: "Go back to the key",
  drop: "Close without it",
};

/** What a key may and until when; what is left out is as the API has it. */
export interface KeyBounds {
  scopes?: string[];
  limits?: KeyLimits;
  expires_at?: string | null;
}

export function makeKey(deploymentId: string, name: string, bounds: KeyBounds = {}): Promise<NewKey> {
  // A name is a line of 100 characters.
  return api.post<NewKey>("/api/keys", { name: name.slice(0, 100), deployments: [deploymentId], ...bounds });
}

/** Shows it below those that are shown there already. Its dialog asks before it closes, until the key was copied. */
export function showKey(place: HTMLElement, made: NewKey, words: string): void {
  showOnce(place, made.key, words, "Copy the key", SHOWN_ONCE);
}

/** The same for any secret, with the words of its button and of what is asked. */
export function showOnce(place: HTMLElement, secret: string, words: string, copy: string, question: Question): void {
  const button = make("button", { type: "button", class: "button small" }, copy);
  const shown = make("div", { class: "endpoint" }, make("code", {}, secret));
  shown.append(make("copy-button", { value: secret }, button));
  const entry = make("div", { class: "stack", "data-made": true }, make("p", {}, words), shown);
  // Whatever was copied: the key alone, or the call that it stands in.
  const look = (event: Event) => {
    if (!copiedText(event).includes(secret)) return;
    entry.dataset.copied = "";
    button.textContent = "Copied";
  };
  const scope = place.closest("dialog") ?? place;
  scope.addEventListener("copied", look);
  scope.addEventListener("copy", look);
  guardUnsaved(entry, () => entry.dataset.copied === undefined, question);
  place.hidden = false;
  place.append(entry);
  entry.scrollIntoView({ block: "center" });
}

function copiedText(event: Event): string {
  return event instanceof CustomEvent ? String(event.detail) : String(document.getSelection());
}

/** The key with another secret. The one that it had opens the same for so many seconds still. */
export function rotateKey(id: string, graceSeconds: number): Promise<NewKey> {
  return api.post<NewKey>(`/api/keys/${id}/rotate`, { grace_seconds: graceSeconds });
}
