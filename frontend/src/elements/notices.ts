/** Short messages in the corner: what an action came to. A screen reader says them; an error stays until it is closed. */

import { ApiError } from "../problem";

export type NoticeKind = "good" | "bad" | "warn";
const SECONDS_SHOWN = 6;

export function notify(text: string, kind: NoticeKind = "good"): void {
  const notice = document.createElement("div");
  notice.className = `notice ${kind}`;
  notice.setAttribute("role", kind === "bad" ? "alert" : "status");
  const words = document.createElement("span");
  words.textContent = text;
  notice.append(words, closeButton(notice));
  place().append(notice);
  raise();
  if (kind !== "bad") setTimeout(() => notice.remove(), SECONDS_SHOWN * 1000);
}

/** What went wrong, in its own words where the site has said it. */
export function notifyError(error: unknown): void {
  notify(error instanceof ApiError ? error.message : `Something went wrong in this page: ${String(error)}`, "bad");
}

function closeButton(notice: HTMLElement): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button quiet small";
  button.textContent = "Close";
  button.addEventListener("click", () => notice.remove());
  return button;
}

function place(): HTMLElement {
  const found = document.getElementById("notices");
  if (!found) throw new Error("The page has no place for notices.");
  return found;
}

/** Above an open dialog, which is in the top layer: what was shown there last lies on top. */
function raise(): void {
  const notices = place();
  if (notices.matches(":popover-open")) notices.hidePopover();
  notices.showPopover();
}
