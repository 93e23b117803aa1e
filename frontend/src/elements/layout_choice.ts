/** `<layout-choice>` around buttons: cards or a table. Kept in a cookie, so that the server draws it right at once. */

import { refreshDeployments } from "./acting";

const YEAR_SECONDS = 31_536_000;

class LayoutChoice extends HTMLElement {
  connectedCallback(): void {
    this.addEventListener("click", (event) => {
      const chosen = (event.target as Element).closest("button");
      if (chosen) this.#choose(chosen);
    });
  }

  #choose(chosen: HTMLButtonElement): void {
    for (const button of this.querySelectorAll("button")) button.ariaPressed = String(button === chosen);
    // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is not in every browser yet.
    document.cookie = `layout=${chosen.value}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
    refreshDeployments();
  }
}

customElements.define("layout-choice", LayoutChoice);
