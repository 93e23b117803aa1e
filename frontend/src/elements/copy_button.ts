/** `<copy-button for="id">` or `<copy-button value="text">` around a button: copies, and says that it did.
 *
 * "copied" tells what, as its detail.
 */

import { notify } from "./notices";

export class CopyButton extends HTMLElement {
  connectedCallback(): void {
    this.addEventListener("click", () => void this.#copy());
  }

  async #copy(): Promise<void> {
    const source = this.getAttribute("for");
    const text = source ? (document.getElementById(source)?.textContent ?? "") : (this.getAttribute("value") ?? "");
    try {
      await navigator.clipboard.writeText(text);
      this.dispatchEvent(new CustomEvent("copied", { bubbles: true, detail: text }));
      notify("Copied.");
    } catch {
      notify("The browser does not let this page copy. Select the text, and copy it by hand.", "warn");
    }
  }
}

customElements.define("copy-button", CopyButton);

declare global {
  interface HTMLElementTagNameMap {
    "copy-button": CopyButton;
  }
}
