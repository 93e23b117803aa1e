/** A dialog that holds something that closing loses asks first: one way for every dialog, and for every way to close it. */

import { make, newId } from "./make";

/** What is asked before something is lost. */
export interface Question {
  title: string;
  words: string;
  keep: string;
  drop: string;
}

const TYPED: Question = {
  title: "Close without saving?",
  words: "What you typed here is not saved. Closing drops it.",
  keep: "Keep editing",
  drop: "Drop it",
};

interface Guard {
  isUnsaved: () => boolean;
  question: Question;
}

const guards = new WeakMap<Element, Guard>();

/** The dialog that this element is in asks before it closes, while `isUnsaved` says that closing would lose something. */
export function guardUnsaved(element: Element, isUnsaved: () => boolean, question: Question = TYPED): void {
  guards.set(element, { isUnsaved, question });
}

export function holdsUnsaved(dialog: HTMLDialogElement): boolean {
  return questionsOf(dialog).length > 0;
}

/** Closes the dialog; where that would lose something, once somebody has said so. */
export function requestClose(dialog: HTMLDialogElement): void {
  askBefore(dialog, () => dialog.close());
}

/** Does what loses all that is within, at once where that is nothing. */
export function askBefore(place: Element, lose: () => void): void {
  const questions = questionsOf(place);
  if (questions.length) ask(questions, lose);
  else lose();
}

/** What each guard within asks, the same only once. */
function questionsOf(place: Element): Question[] {
  const found = [place, ...place.querySelectorAll("*")].map((element) => guards.get(element));
  return [...new Set(found.flatMap((guard) => (guard?.isUnsaved() ? [guard.question] : [])))];
}

function ask(questions: Question[], lose: () => void): void {
  const [first] = questions;
  if (!first) return;
  const title = make("h2", { id: newId("drop-title") }, first.title);
  const words = make("div", { id: newId("drop-words") }, ...questions.map((one) => make("p", {}, one.words)));
  const keep = make("button", { type: "button", class: "button primary", autofocus: true }, first.keep);
  const drop = make("button", { type: "button", class: "button danger" }, first.drop);
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
    lose();
  });
  question.addEventListener("close", () => question.remove());
  document.body.append(question);
  question.showModal();
}
