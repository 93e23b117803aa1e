/** `<relative-time datetime="2026-01-31T12:00:00Z">`: "5 minutes ago", exact in the title, true as time goes on. */

import { relative } from "./relative";

const EXACT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });
const SECONDS_BETWEEN = 10;

class RelativeTime extends HTMLElement {
  static readonly observedAttributes = ["datetime"];
  #timer = 0;

  connectedCallback(): void {
    this.#show();
    this.#timer = window.setInterval(() => this.#show(), SECONDS_BETWEEN * 1000);
  }

  disconnectedCallback(): void {
    window.clearInterval(this.#timer);
  }

  attributeChangedCallback(): void {
    this.#show();
  }

  #show(): void {
    const moment = new Date(this.getAttribute("datetime") ?? "");
    if (Number.isNaN(moment.getTime())) return;
    const said = relative(moment, new Date());
    if (this.textContent !== said) this.textContent = said;
    this.title = EXACT.format(moment);
  }
}

customElements.define("relative-time", RelativeTime);
