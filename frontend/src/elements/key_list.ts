/** `<key-list deployment="id" name="…">`: the keys that open an endpoint; makes one, shows it once, revokes one. */

import { api } from "../client";
import { act } from "./acting";
import { setError } from "./fields";
import { make } from "./make";
import { makeKey, type NewKey } from "./new_key";
import { notify } from "./notices";
import { guardUnsaved } from "./unsaved";

class KeyList extends HTMLElement {
  connectedCallback(): void {
    this.addEventListener("click", (event) => {
      const button = (event.target as Element).closest("button");
      if (button?.matches("[data-make-key]")) void this.#press(button);
      if (button?.matches("[data-revoke]")) void act(button, () => this.#revoke(button));
    });
    guardUnsaved(this, () => this.#name !== null && this.#name.value !== this.#name.defaultValue);
    // Enter in the name would save the whole form.
    this.#name?.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.querySelector<HTMLButtonElement>("[data-make-key]")?.click();
    });
  }

  get #name(): HTMLInputElement | null {
    return this.querySelector<HTMLInputElement>("[data-name]");
  }

  async #press(button: HTMLButtonElement): Promise<void> {
    const name = this.#name;
    if (name) setError(name);
    await act(
      button,
      () => this.#make(),
      this.#error,
      (error) => {
        const message = error.messageFor("/name");
        if (message === undefined || !name) return false;
        setError(name, message);
        name.focus();
        return true;
      },
    );
  }

  get #error(): HTMLElement | null {
    return this.closest("dialog")?.querySelector("[data-error]") ?? null;
  }

  async #make(): Promise<void> {
    const name = this.#name?.value ?? "";
    const scopes = [...this.querySelectorAll<HTMLInputElement>("[data-scope]:checked")].map((box) => box.value);
    this.#show(await makeKey(this.getAttribute("deployment") ?? "", name, scopes));
    if (this.#name) this.#name.defaultValue = name;
  }

  #show(made: NewKey): void {
    const place = this.querySelector<HTMLElement>("[data-made]");
    if (!place) return;
    const button = make("button", { type: "button", class: "button small" }, "Copy");
    place.hidden = false;
    place.replaceChildren(
      make(
        "div",
        { class: "stack" },
        make("p", {}, `This is the key “${made.name}”. It is shown only now: copy it before you close this.`),
        make(
          "div",
          { class: "endpoint" },
          make("code", {}, made.key),
          make("copy-button", { value: made.key }, button),
        ),
      ),
    );
  }

  async #revoke(button: HTMLButtonElement): Promise<void> {
    const row = button.closest<HTMLElement>("[data-key]");
    // The first click asks, the second one does it.
    if (button.dataset.asked === undefined) {
      button.dataset.asked = "";
      button.textContent = "Revoke for good?";
      return;
    }
    await api.delete(`/api/keys/${row?.dataset.key}`);
    row?.remove();
    notify("The key is revoked. It opens nothing from now on.");
  }
}

customElements.define("key-list", KeyList);
