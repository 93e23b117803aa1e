/** `<span-of-time milliseconds="1200">` and `<money-amount usd="0.0012">`: amounts of the server, said as everywhere. */

import { duration, money } from "../live/amounts";

class SpanOfTime extends HTMLElement {
  connectedCallback(): void {
    const milliseconds = this.getAttribute("milliseconds");
    this.textContent = milliseconds ? duration(Number(milliseconds)) : "–";
  }
}

class MoneyAmount extends HTMLElement {
  connectedCallback(): void {
    const usd = this.getAttribute("usd") ?? "";
    this.textContent = money(Number(usd));
    this.title = `${usd} USD`;
  }
}

customElements.define("span-of-time", SpanOfTime);
customElements.define("money-amount", MoneyAmount);
