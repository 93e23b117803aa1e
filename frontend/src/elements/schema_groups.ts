/** The controls that are made of controls: an object's members, and a list's items. */

import type { Json } from "../client";
import type { FieldProblem } from "../problem";
import { make } from "./make";
import { type Control, controlFor, type Place } from "./schema_controls";
import { isObject, type JsonObject, type ListField, type ObjectField, startingValue } from "./schema_fields";
import { type Frame, groupFrame, titleOf } from "./schema_frames";

/** Members that the schema does not name are kept as they were. */
export function groupFor(field: ObjectField, value: Json | undefined, place: Place): Control {
  const before: JsonObject = isObject(value) ? value : {};
  const controls = new Map(
    field.members.map(({ name, required, field: member }) => [
      name,
      controlFor(member, before[name], { required, changed: place.changed, label: name }),
    ]),
  );
  const body = make("div", { class: "stack" }, ...[...controls.values()].map(({ element }) => element));
  const frame = groupFrame(field, place, body);
  const isAbsent = () =>
    value === undefined &&
    !place.required &&
    field.members.every(
      ({ name, field: member }) => member.kind === "fixed" || controls.get(name)?.read() === undefined,
    );
  return {
    element: frame.element,
    read: () => (isAbsent() ? undefined : merged(before, controls)),
    isBroken: () => [...controls.values()].some((control) => control.isBroken()),
    tell: (problems) => frame.complain(tellEach(problems, controls)),
    rename: frame.rename,
    focus: () => (controls.values().next().value ?? frame.input).focus(),
  };
}

function merged(before: JsonObject, controls: Map<string, Control>): JsonObject {
  const value = { ...before };
  for (const [name, control] of controls) {
    const read = control.read();
    if (read === undefined) delete value[name];
    else value[name] = read;
  }
  return value;
}

/** Every problem to the control that its pointer names; the sentences that no control has a place for are returned. */
function tellEach(problems: FieldProblem[], controls: Map<string, Control>): string {
  for (const [name, control] of controls) {
    const own = problems.filter((problem) => firstOf(problem.pointer) === name);
    control.tell(own.map((problem) => ({ ...problem, pointer: restOf(problem.pointer) })));
  }
  const left = problems.filter((problem) => !controls.has(firstOf(problem.pointer) ?? ""));
  return left.map(({ message }) => message).join(" ");
}

function firstOf(pointer: string): string | undefined {
  return pointer.split("/")[1]?.replaceAll("~1", "/").replaceAll("~0", "~");
}

function restOf(pointer: string): string {
  const end = pointer.indexOf("/", 1);
  return end < 0 ? "" : pointer.slice(end);
}

export function listFor(field: ListField, value: Json | undefined, place: Place): Control {
  return new ListControl(field, Array.isArray(value) ? value : undefined, place);
}

class ListControl implements Control {
  readonly element: HTMLElement;
  #items: Control[];
  readonly #rows = make("ol", { class: "form-list" });
  readonly #add = make("button", { type: "button", class: "button small" }, "Add");
  readonly #frame: Frame;
  #title: string;
  #isSet: boolean;

  constructor(
    readonly field: ListField,
    value: Json[] | undefined,
    readonly place: Place,
  ) {
    this.#title = titleOf(field, place) || "the list";
    this.#isSet = value !== undefined || place.required;
    this.#items = (value ?? []).map((item) => this.#control(item));
    this.#frame = groupFrame(field, place, make("div", { class: "stack" }, this.#rows, this.#add));
    this.element = this.#frame.element;
    this.#add.addEventListener("click", () => this.#append());
    this.#show();
  }

  read(): Json | undefined {
    return this.#isSet ? this.#items.map((item) => item.read() ?? null) : undefined;
  }

  isBroken(): boolean {
    return this.#items.some((item) => item.isBroken());
  }

  tell(problems: FieldProblem[]): void {
    this.#frame.complain(tellEach(problems, new Map(this.#items.map((item, index) => [String(index), item]))));
  }

  rename(title: string): void {
    this.#frame.rename(title);
    this.#title = title;
    this.#show();
  }

  focus(): void {
    this.#add.focus();
  }

  #control(value: Json | undefined): Control {
    return controlFor(this.field.item, value, { required: true, changed: this.place.changed, label: "Item" });
  }

  #append(): void {
    const item = this.#control(startingValue(this.field.item));
    this.#change([...this.#items, item]);
    item.focus();
  }

  #remove(item: Control): void {
    this.#change(this.#items.filter((other) => other !== item));
    this.#add.focus();
  }

  #raise(item: Control): void {
    const place = this.#items.indexOf(item);
    const items = this.#items.filter((other) => other !== item);
    items.splice(Math.max(0, place - 1), 0, item);
    this.#change(items);
    item.focus();
  }

  #change(items: Control[]): void {
    this.#items = items;
    this.#isSet = true;
    this.#show();
    this.place.changed();
  }

  #show(): void {
    this.#rows.replaceChildren(...this.#items.map((item, index) => this.#row(item, index)));
    this.#add.setAttribute("aria-label", `Add to ${this.#title}`);
    this.#add.disabled = this.#items.length >= (this.field.maxItems ?? Number.POSITIVE_INFINITY);
  }

  /** Which item it is, and of which list, is in the names of its parts: a screen reader says them one by one. */
  #row(item: Control, index: number): HTMLElement {
    const name = `${this.field.item.title || "Item"} ${index + 1}`;
    item.rename(name);
    const up = rowButton("↑", `Move ${name} of ${this.#title} up`, () => this.#raise(item));
    up.disabled = index === 0;
    const remove = rowButton("✕", `Remove ${name} of ${this.#title}`, () => this.#remove(item));
    remove.disabled = this.#items.length <= this.field.minItems;
    return make("li", {}, item.element, make("span", { class: "row-buttons" }, up, remove));
  }
}

function rowButton(mark: string, name: string, act: () => void): HTMLButtonElement {
  const button = make("button", { type: "button", class: "button quiet small", "aria-label": name, title: name }, mark);
  button.addEventListener("click", act);
  return button;
}
