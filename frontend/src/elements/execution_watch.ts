/** `<execution-watch execution="id" graph="{…}" [cancellable] [links] [result]>`: an execution while it runs.
 *
 * It follows the socket from the beginning, so that a reload shows the same. "execution-progress" tells that a block has
 * begun or ended, "execution-ended" that all has. With `result` it shows what came of it.
 */

import { executionApi } from "../api";
import { count, duration, money } from "../live/amounts";
import { eventSentence } from "../live/decisions";
import { type FeedState, followExecution } from "../live/execution_feed";
import { Progress } from "../live/progress";
import type { ExecutionEvent } from "../types";
import { resultOf } from "./execution_result";
import type { Graph } from "./graph_layout";
import { LiveTextPlaces } from "./live_texts";
import { make } from "./make";
import { notifyError } from "./notices";
import "./execution_graph";

const TICK_MS = 200;
/** What is told in a sentence as it happens. */
const SAID = new Set(["decision", "execution.warning", "agent.retrying"]);

class ExecutionWatch extends HTMLElement {
  readonly #progress = new Progress();
  readonly #labels = new Map<string, string>();
  readonly #state = make("span", { class: "state", role: "status" });
  readonly #time = make("span", { class: "number", title: "Time" });
  readonly #tokens = make("span", { class: "number", title: "Tokens" });
  readonly #cost = make("span", { class: "number", title: "Cost" });
  readonly #cancel = make("button", { type: "button", class: "button danger small push" }, "Cancel");
  readonly #connection = make("p", { class: "notice warn", role: "status", hidden: true });
  readonly #graph = make("execution-graph");
  readonly #decisions = make("ul", { class: "decisions", "aria-label": "Decisions", hidden: true });
  readonly #texts = new LiveTextPlaces((blockId) => this.#labels.get(blockId) ?? blockId);
  readonly #result = make("div", { class: "stack" });
  #feed: { close(): void } | undefined;
  #timer = 0;
  #drawing = 0;

  get executionId(): string {
    return this.getAttribute("execution") ?? "";
  }

  connectedCallback(): void {
    if (!this.childElementCount) this.#build();
    this.#timer = window.setInterval(() => this.#tick(), TICK_MS);
    this.#feed = followExecution(this.executionId, {
      onEvent: (event) => this.#take(event),
      onText: (blockId, agent, key, text) => this.#texts.write(blockId, agent, key, text),
      onState: (state, sentence) => this.#tellConnection(state, sentence),
    });
  }

  disconnectedCallback(): void {
    this.#feed?.close();
    clearInterval(this.#timer);
    cancelAnimationFrame(this.#drawing);
  }

  #build(): void {
    const graph = this.getAttribute("graph") ?? '{"blocks":[],"connections":[]}';
    for (const { id, label } of (JSON.parse(graph) as Graph).blocks) this.#labels.set(id, label);
    this.#graph.setAttribute("graph", graph);
    if (this.hasAttribute("links")) this.#graph.setAttribute("links", "");
    this.#cancel.hidden = !this.hasAttribute("cancellable");
    this.#cancel.addEventListener("click", () => void this.#askToCancel());
    const bar = make(
      "div",
      { class: "row watch-bar" },
      this.#state,
      this.#time,
      this.#tokens,
      this.#cost,
      this.#cancel,
    );
    this.append(bar, this.#connection, this.#graph, this.#decisions, this.#texts.element, this.#result);
    this.#draw();
  }

  async #askToCancel(): Promise<void> {
    this.#cancel.disabled = true;
    try {
      await executionApi.cancel(this.executionId);
    } catch (error) {
      notifyError(error);
      this.#cancel.disabled = this.#progress.hasEnded;
    }
  }

  #take(event: ExecutionEvent): void {
    this.#progress.take(event);
    this.#texts.take(event);
    if (SAID.has(event.type)) this.#say(event);
    if (event.type.startsWith("block.")) this.#announce("execution-progress");
    if (this.#progress.hasEnded) void this.#end();
    // Many events can come at once, as when the past is replayed: they are drawn together.
    this.#drawing ||= requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#drawing = 0;
    const { status, used, blocks, message } = this.#progress;
    if (this.#state.dataset.state !== status) {
      this.#state.dataset.state = status;
      this.#state.textContent = status;
    }
    this.#state.title = message;
    this.#tokens.textContent = count(used.tokens, "token");
    this.#cost.textContent = money(used.cost);
    this.#graph.show(blocks);
    this.#cancel.disabled = status === "cancelling" || this.#progress.hasEnded;
    this.#tick();
  }

  #tick(): void {
    const said = duration(this.#progress.elapsed(Date.now()));
    if (this.#time.textContent !== said) this.#time.textContent = said;
  }

  #say(event: ExecutionEvent): void {
    const label = this.#labels.get(event.block_id ?? "") ?? "";
    const sentence = eventSentence(event);
    this.#decisions.append(make("li", {}, label && make("strong", {}, `${label}: `), sentence));
    this.#decisions.hidden = false;
  }

  async #end(): Promise<void> {
    this.#texts.clear();
    this.#cancel.hidden = true;
    clearInterval(this.#timer);
    this.#announce("execution-ended");
    if (!this.hasAttribute("result")) return;
    try {
      this.#result.replaceChildren(...resultOf(await executionApi.get(this.executionId)));
    } catch (error) {
      notifyError(error);
    }
  }

  #tellConnection(state: FeedState, sentence: string): void {
    this.#connection.hidden = state === "live" || state === "ended";
    this.#connection.textContent = this.#connection.hidden ? "" : sentence;
  }

  #announce(name: string): void {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, detail: { id: this.executionId } }));
  }
}

customElements.define("execution-watch", ExecutionWatch);

declare global {
  interface HTMLElementTagNameMap {
    "execution-watch": ExecutionWatch;
  }
}
