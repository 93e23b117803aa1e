/** Dialogs: `data-opens="id"` opens one that is in the page, `data-closes` closes the one it is in.
 *
 * A dialog that comes from the server is asked for with htmx into `#dialogs`, and opens when it has come; closed, it is
 * taken out again. One that holds what closing loses asks first, however it is closed, and so does the browser before it
 * leaves the page: see `unsaved.ts`. The browser itself gives the focus back to what had opened it; where a list was
 * drawn anew, its id does.
 */

import { holdsUnsaved, requestClose } from "./unsaved";

export function setUpDialogs(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const opener = target.closest<HTMLElement>("[data-opens]");
    if (opener) open(document.getElementById(opener.dataset.opens ?? ""));
    const closed = target.closest("[data-closes]") && target.closest("dialog");
    if (closed) requestClose(closed);
  });
  // The key itself, since a browser lets a page refuse `cancel` only once before it closes the dialog all the same.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented && !event.isComposing) guard(event, topDialog());
  });
  document.addEventListener("cancel", (event) => guard(event, event.target), { capture: true });
  window.addEventListener("beforeunload", (event) => {
    if ([...document.querySelectorAll<HTMLDialogElement>("dialog[open]")].some(holdsUnsaved)) event.preventDefault();
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const place = (event.target as Element).closest("#dialogs");
    const dialog = place?.querySelector<HTMLDialogElement>("dialog:not([open])");
    if (dialog) {
      dialog.addEventListener("close", () => dialog.remove());
      open(dialog);
    }
  });
}

function guard(event: Event, dialog: EventTarget | null | undefined): void {
  if (!(dialog instanceof HTMLDialogElement) || !holdsUnsaved(dialog)) return;
  event.preventDefault();
  requestClose(dialog);
}

/** The one that lies on top: a dialog over a dialog comes after it in the page. */
function topDialog(): HTMLDialogElement | undefined {
  return [...document.querySelectorAll<HTMLDialogElement>("dialog:modal")].at(-1);
}

function open(dialog: Element | null): void {
  if (!(dialog instanceof HTMLDialogElement) || dialog.open) return;
  const opener = document.activeElement?.id;
  dialog.addEventListener("close", () => giveBackFocus(opener), { once: true });
  dialog.showModal();
}

/** Where what had opened the dialog was drawn anew meanwhile, the browser does not find it: its id does. */
function giveBackFocus(opener: string | undefined): void {
  if (opener && document.activeElement === document.body) document.getElementById(opener)?.focus();
}
