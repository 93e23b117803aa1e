/** One input, as a form and as JSON: whichever is in front, the value is the same, and nothing of it is lost. */

import type { Json } from "../client";
import { ApiError, type FieldProblem } from "../problem";
import type { JsonEditor } from "./json_editor";
import { make, newId } from "./make";
import { notifyError } from "./notices";
import { SchemaForm } from "./schema_form";

type View = "form" | "json";

export class InputViews {
  readonly element = make("div", { class: "stack input-views" });
  readonly #form = make("schema-form");
  readonly #editorPlace = make("div", { class: "stack" });
  readonly #error = make("p", { class: "notice bad", role: "alert", hidden: true });
  readonly #tabs: Record<View, HTMLButtonElement>;
  readonly #panels: Record<View, HTMLElement>;
  #editor: JsonEditor | undefined;
  #value: Json;
  #shown: View = "form";

  onChange: (value: Json) => void = () => undefined;

  constructor(schema: Json, value: Json | undefined) {
    this.#value = value ?? SchemaForm.startingValue(schema);
    this.#panels = { form: panel(this.#form), json: panel(this.#editorPlace) };
    this.#tabs = { form: this.#tab("form", "Form"), json: this.#tab("json", "JSON") };
    const tabs = make("div", { role: "tablist", "aria-label": "How the input is edited" });
    tabs.append(this.#tabs.form, this.#tabs.json);
    tabs.addEventListener("keydown", (event) => this.#turn(event));
    this.element.append(tabs, this.#error, this.#panels.form, this.#panels.json);
    this.#form.schema = schema;
    this.#form.value = this.#value;
    this.#form.addEventListener("change", (event) => this.#changed((event as CustomEvent<Json>).detail));
    this.#show("form");
  }

  get value(): Json {
    return this.#value;
  }

  set value(value: Json) {
    this.tell([]);
    this.#form.value = value;
    if (this.#editor) this.#editor.text = written(value);
    this.#changed(value);
  }

  /** Whether what is typed is no value yet, and so is kept nowhere but on the screen. */
  get isBroken(): boolean {
    return this.#shown === "json" ? !isJson(this.#editor?.text ?? "") : this.#form.isBroken;
  }

  /** Whether what is typed is a value. When it is not, the page says where. */
  isReady(): boolean {
    return this.#shown === "json" ? this.#readEditor() : this.#readForm();
  }

  /** Shows problems by pointers relative to the value, at their fields or above the editor. */
  tell(problems: FieldProblem[]): void {
    this.#form.problems = problems;
    const isInFields = this.#shown === "form";
    this.#say(
      isInFields ? "" : problems.map(({ pointer, message }) => `${pointer || "The input"}: ${message}`).join("\n"),
    );
    if (isInFields) this.#form.focusProblem();
  }

  /** Shows what an answer of the API says about the input, which was sent at `pointer`; the rest as a notice. */
  tellError(error: unknown, pointer: string): void {
    const problems = error instanceof ApiError ? (error.problem.errors ?? []) : [];
    const own = problems.filter((problem) => problem.pointer.startsWith(pointer));
    this.tell(own.map((problem) => ({ ...problem, pointer: problem.pointer.slice(pointer.length) })));
    if (own.length < problems.length || !problems.length) notifyError(error);
  }

  #changed(value: Json): void {
    this.#value = value;
    this.onChange(value);
  }

  #tab(view: View, name: string): HTMLButtonElement {
    const tab = make("button", { type: "button", role: "tab", "aria-controls": this.#panels[view].id }, name);
    tab.id = `${this.#panels[view].id}-tab`;
    this.#panels[view].setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => void this.#choose(view));
    return tab;
  }

  #turn(event: KeyboardEvent): void {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    void this.#choose(this.#shown === "form" ? "json" : "form");
  }

  async #choose(view: View): Promise<void> {
    if (view === this.#shown || !this.isReady()) return;
    if (view === "json") await this.#openEditor();
    else this.#form.value = this.#value;
    this.#show(view);
    this.#tabs[view].focus();
  }

  #show(view: View): void {
    this.#shown = view;
    for (const name of ["form", "json"] as const) {
      this.#panels[name].hidden = name !== view;
      this.#tabs[name].setAttribute("aria-selected", String(name === view));
      this.#tabs[name].tabIndex = name === view ? 0 : -1;
    }
  }

  /** The editor is fetched when somebody wants it: most never do. */
  async #openEditor(): Promise<void> {
    await import("./json_editor");
    if (!this.#editor) {
      this.#editor = document.createElement("json-editor") as JsonEditor;
      this.#editor.setAttribute("label", "Input as JSON");
      this.#editor.text = written(this.#value);
      this.#editor.addEventListener("change", () => this.#readEditor());
      this.#editorPlace.append(this.#editor);
    }
    this.#editor.text = written(this.#value);
  }

  #readEditor(): boolean {
    try {
      const value = JSON.parse(this.#editor?.text ?? "") as Json;
      this.#say("");
      if (written(value) !== written(this.#value)) this.#changed(value);
      return true;
    } catch (error) {
      this.#say(`This is not JSON yet: ${(error as Error).message}`);
      return false;
    }
  }

  #readForm(): boolean {
    if (this.#form.isBroken) this.#form.focusProblem();
    return !this.#form.isBroken;
  }

  #say(sentence: string): void {
    this.#error.textContent = sentence;
    this.#error.hidden = sentence === "";
  }
}

function panel(content: HTMLElement): HTMLElement {
  return make("div", { role: "tabpanel", id: newId("input-view") }, content);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function written(value: Json): string {
  return JSON.stringify(value, null, 2);
}
