/** What stands around a control: its label, its hint, and the place that says what is wrong, tied to it for a screen reader. */

import { make, newId } from "./make";
import type { Place } from "./schema_controls";
import type { Field } from "./schema_fields";

export interface Frame {
  element: HTMLElement;
  input: HTMLElement;
  rename(title: string): void;
  /** Says what is wrong; "" when nothing is. */
  complain(message: string): void;
}

type Input = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

export function frameOf(field: Field, place: Place, input: Input): Frame {
  input.id = newId("field");
  input.required = place.required && !(input instanceof HTMLInputElement && input.type === "checkbox");
  const error = make("p", { class: "error", id: `${input.id}-error`, "aria-live": "polite" });
  const title = make("span", {}, titleOf(field, place));
  const hint = hintOf(field, input.id);
  input.setAttribute("aria-describedby", hint ? `${hint.id} ${error.id}` : error.id);
  const element = make("div", { class: "field" }, ...labelled(title, place, input), hint, error);
  const complain = (message: string) => {
    error.textContent = message;
    if (message) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  return { element, input, rename: renaming(title), complain };
}

/** The frame of several controls. */
export function groupFrame(field: Field, place: Place, body: HTMLElement): Frame {
  const id = newId("group");
  const error = make("p", { class: "error", id: `${id}-error`, "aria-live": "polite" });
  const hint = hintOf(field, id);
  const describedBy = hint ? `${hint.id} ${error.id}` : error.id;
  const element = make("fieldset", { class: "field", "aria-describedby": describedBy, tabindex: -1 });
  const title = make("span", {}, titleOf(field, place));
  if (title.textContent) element.append(make("legend", {}, title, requiredMark(place.required)));
  if (hint) element.append(hint);
  element.append(body, error);
  const complain = (message: string) => {
    error.textContent = message;
  };
  return { element, input: element, rename: renaming(title), complain };
}

function renaming(title: HTMLElement): (title: string) => void {
  return (words) => {
    title.textContent = words;
  };
}

function labelled(title: HTMLElement, place: Place, input: Input): HTMLElement[] {
  if (input instanceof HTMLInputElement && input.type === "checkbox") {
    return [make("label", { class: "check" }, input, title)];
  }
  return [make("label", { for: input.id }, title, requiredMark(place.required)), input];
}

export function titleOf(field: Field, place: Place): string {
  return field.title || place.label || "";
}

/** The attribute `required` says it to a screen reader; this is for the eye. */
function requiredMark(required: boolean): HTMLElement | false {
  return required && make("span", { class: "required", "aria-hidden": "true", title: "Required" }, " *");
}

function hintOf(field: Field, id: string): HTMLElement | undefined {
  const said = [field.description, boundsOf(field)].filter(Boolean).join(" ");
  return said ? make("p", { class: "hint", id: `${id}-hint` }, said) : undefined;
}

function boundsOf(field: Field): string {
  if (field.kind !== "number") return "";
  const { minimum, maximum } = field;
  if (minimum !== undefined && maximum !== undefined) return `From ${minimum} to ${maximum}.`;
  if (minimum !== undefined) return `At least ${minimum}.`;
  return maximum === undefined ? "" : `At most ${maximum}.`;
}
