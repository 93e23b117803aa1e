/** `<rerun-form execution schema input>` around a button and the places to run again from: asks, and goes to the new one. */

import { executionApi } from "../api";
import type { Json } from "../client";
import { InputViews } from "./input_views";
import { make, newId } from "./make";
import { guardUnsaved } from "./unsaved";

class RerunForm extends HTMLElement {
  #input: InputViews | undefined;

  connectedCallback(): void {
    this.querySelector("button")?.addEventListener("click", () => this.#ask());
  }

  get #given(): Json {
    return JSON.parse(this.getAttribute("input") ?? "{}") as Json;
  }

  #ask(): void {
    const places = this.querySelector("select")?.cloneNode(true) as HTMLSelectElement;
    places.hidden = false;
    places.id = newId("rerun-from");
    const input = new InputViews(JSON.parse(this.getAttribute("schema") ?? "{}") as Json, this.#given);
    this.#input = input;
    const dialog = this.#dialog(places, input);
    document.body.append(dialog);
    dialog.addEventListener("close", () => dialog.remove());
    guardUnsaved(dialog, () => input.isBroken || this.#isEdited(input));
    dialog.showModal();
  }

  #dialog(places: HTMLSelectElement, input: InputViews): HTMLDialogElement {
    const title = make("h2", { id: newId("rerun-title") }, "Run again");
    const close = make("button", { type: "button", class: "button quiet small push", "data-closes": true }, "Close");
    const from = make("div", { class: "field" }, make("label", { for: places.id }, "From where"), places);
    const hint = make(
      "p",
      { class: "soft small" },
      "An edited input reaches the blocks that run again, and no others.",
    );
    const submit = make("button", { type: "submit", class: "button primary" }, "Run again");
    const body = make("div", { class: "dialog-body" }, from, make("h3", {}, "Input"), hint, input.element);
    const form = make("form", { novalidate: true }, make("header", {}, title, close), body, make("footer", {}, submit));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#run(places.value, submit);
    });
    return make("dialog", { class: "panel wide", "aria-labelledby": title.id }, form);
  }

  #isEdited(input: InputViews): boolean {
    return JSON.stringify(input.value) !== JSON.stringify(this.#given);
  }

  async #run(from: string, button: HTMLButtonElement): Promise<void> {
    const input = this.#input;
    if (!input?.isReady()) return;
    button.disabled = true;
    try {
      const { id } = await executionApi.rerun(
        this.getAttribute("execution") ?? "",
        from,
        this.#isEdited(input) ? input.value : undefined,
      );
      location.assign(`/executions/${id}`);
    } catch (error) {
      input.tellError(error, "/input_data");
    } finally {
      button.disabled = false;
    }
  }
}

customElements.define("rerun-form", RerunForm);
