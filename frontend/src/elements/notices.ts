/** Short messages in the corner: what an action came to. A screen reader says them; an error stays until it is closed. */

import { ApiError } from "../problem";

export type NoticeKind = "good" | "bad" | "warn";
/** Where to go from a notice. */
export interface NoticeLink {
  href: string;
  words: string;
}
const SECONDS_SHOWN = 6;
const SECONDS_SHOWN_WITH_LINK = 20;

export function notify(text: string, kind: NoticeKind = "good", link?: NoticeLink): void {
  const notice = document.createElement("div");
  notice.className = `notice ${kind}`;
  notice.setAttribute("role", kind === "bad" ? "alert" : "status");
  const words = document.createElement("span");
  words.textContent = text;
  notice.append(words);
  if (link) notice.append(linkTo(link));
  notice.append(closeButton(notice));
  place().append(notice);
  raise();
  const seconds = link ? SECONDS_SHOWN_WITH_LINK : SECONDS_SHOWN;
  if (kind !== "bad") setTimeout(() => notice.remove(), seconds * 1000);
}

/** What went wrong, in its own words where the site has said it. */
export function notifyError(error: unknown): void {
  notify(error instanceof ApiError ? error.message : `Something went wrong in this page: ${String(error)}`, "bad");
}

function linkTo(link: NoticeLink): HTMLAnchorElement {
  const made = document.createElement("a");
  made.href = link.href;
  made.textContent = link.words;
  return made;
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
