/** `<running-now>` around what runs now, which is asked for every few seconds: when one has ended, the list is asked for too. */

import htmx from "htmx.org";

class RunningNow extends HTMLElement {
  #before = new Set<string>();

  connectedCallback(): void {
    this.#before = this.#shown();
    this.addEventListener("htmx:afterSettle", (event) => {
      if (event.target === this) this.#compare();
    });
  }

  #compare(): void {
    const now = this.#shown();
    const hasEnded = [...this.#before].some((address) => !now.has(address));
    this.#before = now;
    const filters = this.closest("main, dialog")?.querySelector("history-filters form");
    if (hasEnded && filters) htmx.trigger(filters, "submit", {});
  }

  #shown(): Set<string> {
    return new Set([...this.querySelectorAll("a")].map(({ href }) => href));
  }
}

customElements.define("running-now", RunningNow);
