/** `<execute-flow deployment="id" setup="{…}">`: from an input to its execution, watched.
 *
 * One value, shown as a form and as JSON. What is typed is kept in this browser tab until it was accepted; what runs is
 * in the address, `?execution=`, so that a reload goes on with it.
 */

import { deploymentApi } from "../api";
import type { Json } from "../client";
import { InputViews } from "./input_views";
import { make } from "./make";
import { notify } from "./notices";
import { guardUnsaved } from "./unsaved";
import "./execution_watch";

export interface Setup {
  schema: Json;
  graph: Json;
  /** Inputs at hand: the newest execution's first. */
  inputs: { label: string; value: Json }[];
  /** One that this person started and that still runs. */
  running: string | null;
}

const POINTER = "/input_data";

class ExecuteFlow extends HTMLElement {
  #setup: Setup = { schema: {}, graph: {}, inputs: [], running: null };
  #input: InputViews | undefined;
  #before = "";
  /** Sent again when it is not known whether the first request arrived: it is one execution then. */
  #key = newKey();

  connectedCallback(): void {
    if (this.childElementCount) return;
    this.#setup = JSON.parse(this.getAttribute("setup") ?? "{}") as Setup;
    this.#before = withoutExecution();
    const named = new URLSearchParams(location.search).get("execution") ?? this.#setup.running;
    guardUnsaved(this, () => this.#input?.isBroken ?? false);
    if (named) this.#watch(named);
    else this.#ask();
  }

  /** The dialog was closed: the address is again the one of the page below it. */
  disconnectedCallback(): void {
    if (this.#input && this.#kept() !== undefined) notify("What you typed is kept: it is here when you come back.");
    if (this.closest("dialog")) history.replaceState(history.state, "", this.#before);
  }

  get #deployment(): string {
    return this.getAttribute("deployment") ?? "";
  }

  #ask(): void {
    const input = new InputViews(this.#setup.schema, this.#kept() ?? this.#setup.inputs[0]?.value);
    this.#input = input;
    input.onChange = (value) => {
      this.#key = newKey();
      sessionStorage.setItem(this.#place, JSON.stringify(value));
    };
    const execute = make("button", { type: "submit", class: "button primary" }, "Execute");
    const form = make("form", { class: "stack", novalidate: true }, this.#chooser(input), input.element);
    form.append(make("footer", { class: "flow-actions" }, execute));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#execute(execute);
    });
    this.replaceChildren(form);
  }

  #chooser(input: InputViews): HTMLElement | false {
    const { inputs } = this.#setup;
    if (!inputs.length) return false;
    const select = make("select", { id: "input-at-hand" }, make("option", { value: "" }, "Choose…"));
    inputs.forEach(({ label }, index) => {
      select.append(make("option", { value: index }, label));
    });
    select.addEventListener("change", () => {
      const chosen = inputs[Number(select.value)];
      if (select.value !== "" && chosen) input.value = chosen.value;
    });
    const label = make("label", { for: "input-at-hand" }, "Fill in from");
    return make("div", { class: "field inline-field" }, label, select);
  }

  async #execute(button: HTMLButtonElement): Promise<void> {
    const input = this.#input;
    if (!input?.isReady()) return;
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    try {
      const accepted = await deploymentApi.executeDeployment(this.#deployment, input.value, this.#key);
      sessionStorage.removeItem(this.#place);
      this.#key = newKey();
      this.#watch(accepted.execution_id);
    } catch (error) {
      input.tellError(error, POINTER);
    } finally {
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  }

  #watch(execution: string): void {
    history.replaceState(history.state, "", `/deployments/${this.#deployment}/execute?execution=${execution}`);
    const graph = JSON.stringify(this.#setup.graph);
    const watch = make("execution-watch", { execution, graph, cancellable: true, result: true });
    const again = make("button", { type: "button", class: "button" }, "Execute again");
    again.addEventListener("click", () => {
      history.replaceState(history.state, "", `/deployments/${this.#deployment}/execute`);
      this.#ask();
      this.querySelector<HTMLElement>("input, select, textarea")?.focus();
    });
    const link = make("a", { class: "button", href: `/executions/${execution}` }, "Open the execution");
    this.replaceChildren(watch, make("footer", { class: "flow-actions" }, link, again));
  }

  get #place(): string {
    return `input:${this.#deployment}`;
  }

  #kept(): Json | undefined {
    const kept = sessionStorage.getItem(this.#place);
    return kept === null ? undefined : (JSON.parse(kept) as Json);
  }
}

/** The page's own address, where it is not that of a dialog's execution. */
function withoutExecution(): string {
  const address = new URL(location.href);
  address.searchParams.delete("execution");
  return address.pathname + address.search;
}

/** 128 bits; `crypto.randomUUID` is there in secure contexts only. */
function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

customElements.define("execute-flow", ExecuteFlow);
