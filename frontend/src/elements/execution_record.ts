/** `<execution-record>`: the record of an execution, which the server draws anew while it runs. What was open stays open. */

class ExecutionRecord extends HTMLElement {
  #open: string[] = [];

  connectedCallback(): void {
    this.addEventListener("htmx:beforeSwap", () => {
      this.#open = [...this.querySelectorAll("details[open][id]")].map(({ id }) => id);
    });
    this.addEventListener("htmx:afterSwap", () => {
      for (const id of this.#open) document.getElementById(id)?.setAttribute("open", "");
    });
    window.addEventListener("hashchange", this.#reveal);
    this.#reveal();
  }

  disconnectedCallback(): void {
    window.removeEventListener("hashchange", this.#reveal);
  }

  /** A link to a call opens it. */
  readonly #reveal = (): void => {
    const named = location.hash ? document.getElementById(location.hash.slice(1)) : null;
    if (named instanceof HTMLDetailsElement) named.open = true;
  };
}

customElements.define("execution-record", ExecutionRecord);
