/** What a socket's close code asks for: see the table in docs/live.md. */

export type FeedState = "live" | "reconnecting" | "ended" | "refused";

const REFUSALS: Record<number, string> = {
  4400: "The page asked for its live progress in a way that the site does not take. Reload the page.",
  4401: "You are no longer signed in. Sign in again in another tab, then reload this page.",
  4403: "You no longer have the right to watch this. Ask an administrator of the team.",
  4404: "There is no such execution, or it is not yours to see.",
  4419: "Your session is over. Sign in again in another tab, then reload this page.",
};
const PAUSES: Record<number, string> = {
  1012: "The site is being restarted. The execution goes on; this page connects again by itself.",
  1013: "The site's database is away. This page connects again by itself.",
};
const LOST = "The live connection was lost. The execution goes on; this page connects again by itself.";
export const OFFLINE = "The network is lost. The execution goes on; this page connects again when the network is back.";

/** The state that follows a close, and a sentence for whoever watches. */
export function closing(code: number): [FeedState, string] {
  if (code === 1000) return ["ended", "Everything was shown."];
  const refusal = REFUSALS[code];
  return refusal ? ["refused", refusal] : ["reconnecting", PAUSES[code] ?? LOST];
}

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8000;

/** How long to wait before the nth try in a row, from 0: longer each time, and not the same for all who were cut off. */
export function waitBefore(tries: number, chance: number): number {
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(tries, 10));
  return longest * (0.5 + chance / 2);
}
