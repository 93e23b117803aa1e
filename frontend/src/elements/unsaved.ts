/** A dialog that holds something typed asks before it closes: one way for every dialog, and for every way to close it. */

import { make, newId } from "./make";

const guards = new WeakMap<Element, () => boolean>();

/** The dialog that this element is in asks before it closes, while `isUnsaved` says that closing would lose something. */
export function guardUnsaved(element: Element, isUnsaved: () => boolean): void {
  guards.set(element, isUnsaved);
}

export function holdsUnsaved(dialog: HTMLDialogElement): boolean {
  return [dialog, ...dialog.querySelectorAll("*")].some((element) => guards.get(element)?.() ?? false);
}

/** Closes the dialog; where that would lose something typed, once somebody has said so. */
export function requestClose(dialog: HTMLDialogElement): void {
  if (holdsUnsaved(dialog)) askToDrop(dialog);
  else dialog.close();
}

export function askToDrop(dialog: HTMLDialogElement): void {
  const title = make("h2", { id: newId("drop-title") }, "Close without saving?");
  const words = make("p", { id: newId("drop-words") }, "What you typed here is not saved. Closing drops it.");
  const keep = make("button", { type: "button", class: "button primary", autofocus: true }, "Keep editing");
  const drop = make("button", { type: "button", class: "button danger" }, "Drop it");
  const question = make(
    "dialog",
    { class: "panel", role: "alertdialog", "aria-labelledby": title.id, "aria-describedby": words.id },
    make("header", {}, title),
    make("div", { class: "dialog-body" }, words),
    make("footer", {}, keep, drop),
  );
  keep.addEventListener("click", () => question.close());
  drop.addEventListener("click", () => {
    question.close();
    dialog.close();
  });
  question.addEventListener("close", () => question.remove());
  document.body.append(question);
  question.showModal();
}
