/** Dialogs: `data-opens="id"` opens one that is in the page, `data-closes` closes the one it is in.
 *
 * A dialog that comes from the server is asked for with htmx into `#dialogs`, and opens when it has come; closed, it is
 * taken out again. The browser itself gives the focus back to what had opened it; where a list was drawn anew, its id does.
 */

export function setUpDialogs(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const opener = target.closest<HTMLElement>("[data-opens]");
    if (opener) open(document.getElementById(opener.dataset.opens ?? ""));
    if (target.closest("[data-closes]")) target.closest("dialog")?.close();
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
