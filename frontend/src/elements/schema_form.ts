/** `<schema-form>`: a form for any JSON Schema. Set `schema`, then `value`; a "change" tells the new value as its detail.
 *
 * `problems` are shown at their fields, by pointers relative to the value; the element does not judge values itself.
 */

import type { Json } from "../client";
import type { FieldProblem } from "../problem";
import { type Control, controlFor } from "./schema_controls";
import { fieldOf, startingValue } from "./schema_fields";

export class SchemaForm extends HTMLElement {
  #schema: Json = {};
  #value: Json | undefined;
  #problems: FieldProblem[] = [];
  #control: Control | undefined;

  constructor() {
    super();
    // The fields have a "change" of their own, which tells no value of the form.
    this.addEventListener("change", (event) => {
      if (!(event instanceof CustomEvent)) event.stopImmediatePropagation();
    });
  }

  get schema(): Json {
    return this.#schema;
  }

  set schema(schema: Json) {
    if (same(schema, this.#schema)) return;
    this.#schema = schema;
    this.#draw();
  }

  get value(): Json | undefined {
    return this.#value;
  }

  /** What the form itself has just told is not drawn again: the cursor stays where it is. */
  set value(value: Json | undefined) {
    if (this.#control && same(value, this.#value)) return;
    this.#value = value;
    this.#draw();
  }

  get problems(): FieldProblem[] {
    return this.#problems;
  }

  set problems(problems: FieldProblem[]) {
    this.#problems = problems;
    this.#control?.tell(problems);
  }

  /** Whether a field holds something that is no value yet, as half of a JSON text: `value` is still the one before. */
  get isBroken(): boolean {
    return this.#control?.isBroken() ?? false;
  }

  connectedCallback(): void {
    if (!this.#control) this.#draw();
  }

  /** A value to begin with: the schema's defaults, and empty fields for what it requires. */
  static startingValue(schema: Json): Json {
    return startingValue(fieldOf(schema)) ?? {};
  }

  /** Puts the cursor into the first field that has a problem. */
  focusProblem(): void {
    this.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }

  #draw(): void {
    const changed = () => {
      this.#value = this.#control?.read();
      this.dispatchEvent(new CustomEvent("change", { bubbles: true, detail: this.#value }));
    };
    const field = fieldOf(this.#schema);
    const label = field.kind === "object" ? "" : "Value";
    this.#control = controlFor(field, this.#value, { required: true, changed, label });
    this.#control.tell(this.#problems);
    this.replaceChildren(this.#control.element);
  }
}

function same(one: Json | undefined, other: Json | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

customElements.define("schema-form", SchemaForm);

declare global {
  interface HTMLElementTagNameMap {
    "schema-form": SchemaForm;
  }
}
