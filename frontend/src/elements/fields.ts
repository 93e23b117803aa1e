/** Fields with label, hint and error, made in code, and known by a name under which an error finds them. */

import type { FieldProblem } from "../problem";
import { make, newId } from "./make";

export type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

/** A field around a control: its label, a hint where there is one, and the place of its error. */
export function field(title: string, control: Control, hint = ""): HTMLElement {
  const id = newId("field");
  control.id = id;
  control.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  return make(
    "div",
    { class: "field" },
    make("label", { for: id }, title),
    control,
    make("span", { class: "hint", id: `${id}-hint` }, hint),
    make("span", { class: "error", id: `${id}-error` }),
  );
}

export function select(choices: [value: string, words: string][], value: string): HTMLSelectElement {
  const made = make("select", {}, ...choices.map(([name, words]) => make("option", { value: name }, words)));
  made.value = value;
  return made;
}

export function check(title: string, checked: boolean, value = ""): HTMLLabelElement {
  return make("label", { class: "check" }, make("input", { type: "checkbox", checked, value }), title);
}

/** Says what is wrong with a control; an empty sentence takes it back. */
export function setError(control: Control, message = ""): void {
  control.setAttribute("aria-invalid", String(message !== ""));
  const place = control.closest(".field")?.querySelector(".error");
  if (place && place.textContent !== message) place.textContent = message;
}

/** Puts each problem at the control that its pointer names, or leads into; those without one are given back. */
export function placeProblems(controls: Map<string, Control>, problems: FieldProblem[]): FieldProblem[] {
  for (const [pointer, control] of controls) {
    setError(control, problems.find((problem) => leadsTo(problem.pointer, pointer))?.message);
  }
  return problems.filter((problem) => ![...controls.keys()].some((pointer) => leadsTo(problem.pointer, pointer)));
}

function leadsTo(pointer: string, place: string): boolean {
  return pointer === place || pointer.startsWith(`${place}/`);
}
