/** A question with a few answers, in a dialog. */

import { make, newId } from "./make";

/** The answer's name, the words on its button, and the button's class. */
export type Choice = [name: string, words: string, look: "primary" | "danger" | ""];

/** Resolves to the name of the answer, or to undefined when the question was dismissed. */
export function choose(title: string, text: string, choices: Choice[]): Promise<string | undefined> {
  const heading = newId("choice");
  const buttons = choices.map(([name, words, look]) =>
    make("button", { type: "submit", value: name, class: `button ${look}` }, words),
  );
  const cancel = make("button", { type: "submit", value: "", class: "button quiet" }, "Cancel");
  const dialog = make(
    "dialog",
    { class: "panel", "aria-labelledby": heading },
    make("header", {}, make("h2", { id: heading }, title)),
    make("div", { class: "dialog-body" }, make("p", {}, text)),
    make("form", { method: "dialog" }, make("footer", {}, cancel, ...buttons)),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue || undefined);
    });
  });
}
