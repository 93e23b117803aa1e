/** `<execution-record>`: the record of an execution, which the server draws anew while it runs. What was open stays open.
 *
 * It is asked for when a block has begun or ended, once for all that happens within a second, and again at the end:
 * htmx's own `throttle` would drop the end when it comes close behind something else.
 */

import htmx from "htmx.org";

const PROGRESS_MS = 1000;
/** The last event is told as soon as it is recorded: the row is there by then. */
const ENDED_MS = 50;

class ExecutionRecord extends HTMLElement {
  #open: string[] = [];
  #timer = 0;
  readonly #leave = new AbortController();

  connectedCallback(): void {
    this.addEventListener("htmx:beforeSwap", () => {
      this.#open = [...this.querySelectorAll("details[open][id]")].map(({ id }) => id);
    });
    this.addEventListener("htmx:afterSwap", () => {
      for (const id of this.#open) document.getElementById(id)?.setAttribute("open", "");
    });
    const { signal } = this.#leave;
    document.addEventListener("execution-progress", () => this.#askIn(PROGRESS_MS), { signal });
    document.addEventListener("execution-ended", () => this.#askIn(ENDED_MS, true), { signal });
    window.addEventListener("hashchange", () => this.#reveal(), { signal });
    this.#reveal();
  }

  disconnectedCallback(): void {
    this.#leave.abort();
    clearTimeout(this.#timer);
  }

  #askIn(milliseconds: number, isLast = false): void {
    if (this.#timer && !isLast) return;
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      this.#timer = 0;
      htmx.trigger(this, "refresh", {});
    }, milliseconds);
  }

  /** A link to a call opens it. */
  #reveal(): void {
    const named = location.hash ? document.getElementById(location.hash.slice(1)) : null;
    if (named instanceof HTMLDetailsElement) named.open = true;
  }
}

customElements.define("execution-record", ExecutionRecord);
