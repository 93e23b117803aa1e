/** The controls of `<schema-form>`: one for each kind of field, each of which reads its value and tells its problems. */

import type { Json } from "../client";
import type { FieldProblem } from "../problem";
import { make } from "./make";
import {
  type ChoiceField,
  type Field,
  fits,
  type JsonField,
  type NumberField,
  type SwitchField,
  type TextField,
} from "./schema_fields";
import { type Frame, frameOf } from "./schema_frames";
import { groupFor, listFor } from "./schema_groups";

export interface Control {
  readonly element: HTMLElement;
  /** Its value; undefined when there is none to send. */
  read(): Json | undefined;
  /** Whether what is typed is no value at all, as half of a JSON text. */
  isBroken(): boolean;
  /** Shows the problems that it has a place for; pointers are relative to its value. */
  tell(problems: FieldProblem[]): void;
  /** The title by which it goes from now on: an item of a list has another one when it has moved. */
  rename(title: string): void;
  focus(): void;
}

export interface Place {
  required: boolean;
  changed(): void;
  /** The label, where the schema gives none. */
  label?: string;
}

export function controlFor(field: Field, value: Json | undefined, place: Place): Control {
  if (!fits(field, value)) return jsonFor({ ...field, kind: "json" }, value, place);
  switch (field.kind) {
    case "text":
      return textFor(field, value, place);
    case "number":
      return numberFor(field, value, place);
    case "choice":
      return choiceFor(field, value, place);
    case "switch":
      return switchFor(field, value, place);
    case "fixed":
      return hidden(field.value);
    case "list":
      return listFor(field, value, place);
    case "object":
      return groupFor(field, value, place);
    case "json":
      return jsonFor(field, value, place);
  }
}

/** What an empty field says. */
function emptyOf(field: Field, place: Place): Json | undefined {
  if (field.nullable) return place.required || (field.fallback ?? null) !== null ? null : undefined;
  return field.kind === "text" && place.required ? "" : undefined;
}

function placeholderOf(field: Field): string | undefined {
  const { fallback } = field;
  if (fallback === undefined || fallback === null || fallback === "") return undefined;
  return `Default: ${typeof fallback === "string" ? fallback : JSON.stringify(fallback)}`;
}

function textFor(field: TextField, value: Json | undefined, place: Place): Control {
  const shared = { placeholder: placeholderOf(field), maxlength: field.maxLength };
  const input =
    field.input === "long"
      ? make("textarea", { ...shared, rows: 2, class: "growing" })
      : make("input", { ...shared, type: field.input });
  input.value = typeof value === "string" ? value : "";
  input.addEventListener("input", place.changed);
  const read = () => (input.value === "" ? emptyOf(field, place) : input.value);
  return leaf(frameOf(field, place, input), read);
}

function numberFor(field: NumberField, value: Json | undefined, place: Place): Control {
  const { minimum: min, maximum: max } = field;
  const step = field.whole ? 1 : "any";
  const input = make("input", { type: "number", step, min, max, placeholder: placeholderOf(field) });
  input.value = typeof value === "number" ? String(value) : "";
  const frame = frameOf(field, place, input);
  input.addEventListener("input", () => {
    frame.complain(input.validity.badInput ? "Type a number." : "");
    place.changed();
  });
  const read = () => (input.value === "" ? emptyOf(field, place) : Number(input.value));
  return leaf(frame, read, () => input.validity.badInput);
}

function choiceFor(field: ChoiceField, value: Json | undefined, place: Place): Control {
  const select = make("select");
  const chosen = field.choices.findIndex((choice) => JSON.stringify(choice) === JSON.stringify(value));
  if (!place.required || field.nullable || chosen < 0) {
    select.append(make("option", { value: "" }, placeholderOf(field) ?? "—"));
  }
  field.choices.forEach((choice, index) => {
    select.append(make("option", { value: index }, typeof choice === "string" ? choice : JSON.stringify(choice)));
  });
  select.value = chosen < 0 ? "" : String(chosen);
  select.addEventListener("change", place.changed);
  const read = () => (select.value === "" ? emptyOf(field, place) : field.choices[Number(select.value)]);
  return leaf(frameOf(field, place, select), read);
}

function switchFor(field: SwitchField, value: Json | undefined, place: Place): Control {
  const input = make("input", { type: "checkbox" });
  input.checked = (value ?? field.fallback) === true;
  let isSet = value !== undefined || place.required;
  input.addEventListener("change", () => {
    isSet = true;
    place.changed();
  });
  return leaf(frameOf(field, place, input), () => (isSet ? input.checked : undefined));
}

function jsonFor(field: JsonField, value: Json | undefined, place: Place): Control {
  const input = make("textarea", { class: "mono growing", rows: 3, spellcheck: "false", placeholder: "JSON" });
  input.value = value === undefined ? "" : JSON.stringify(value, null, 2);
  const frame = frameOf(field, place, input);
  let last = value;
  let broken = false;
  input.addEventListener("input", () => {
    try {
      last = input.value.trim() === "" ? emptyOf(field, place) : (JSON.parse(input.value) as Json);
      broken = false;
    } catch (error) {
      broken = true;
      frame.complain(`This is not JSON yet: ${(error as Error).message}`);
      return;
    }
    frame.complain("");
    place.changed();
  });
  return leaf(
    frame,
    () => last,
    () => broken,
  );
}

function hidden(value: Json): Control {
  const element = make("span", { hidden: true });
  const ignore = () => undefined;
  return { element, read: () => value, isBroken: () => false, tell: ignore, rename: ignore, focus: ignore };
}

function leaf(frame: Frame, read: () => Json | undefined, isBroken = () => false): Control {
  return {
    element: frame.element,
    read,
    isBroken,
    tell: (problems) => frame.complain(problems.map(({ message }) => message).join(" ")),
    rename: frame.rename,
    focus: () => frame.input.focus(),
  };
}
