/** `<call-panel deployment="id" name="…">`: the calls of an endpoint; one click makes a key and puts it into them. */

import { act } from "./acting";
import { makeKey, showKey } from "./new_key";

class CallPanel extends HTMLElement {
  connectedCallback(): void {
    const button = this.querySelector<HTMLButtonElement>("[data-make-key]");
    button?.addEventListener("click", () => void act(button, () => this.#make(), this.#place("error")));
  }

  async #make(): Promise<void> {
    const made = await makeKey(this.getAttribute("deployment") ?? "", this.getAttribute("name") ?? "");
    for (const call of this.querySelectorAll<HTMLElement>("[data-key-place]")) putIn(call, made.key);
    const words = `The key “${made.name}” stands in the calls below. It is shown only now: copy it, or a call, before you close this.`;
    const place = this.#place("new-keys");
    if (place) showKey(place, made, words);
  }

  #place(name: string): HTMLElement | null {
    return this.querySelector(`[data-${name}]`);
  }
}

/** The key in its place; a second one in the place of the first. */
function putIn(call: HTMLElement, key: string): void {
  const { keyPlace = "", keyAs = "" } = call.dataset;
  const put = keyAs.replace("{key}", () => key);
  call.textContent = (call.textContent ?? "").replace(keyPlace, () => put);
  call.dataset.keyPlace = put;
}

customElements.define("call-panel", CallPanel);
