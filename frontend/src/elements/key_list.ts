/** `<key-list deployment="id" name="…">`: the keys that open an endpoint; makes one, shows it once, rotates and revokes one. */

import htmx from "htmx.org";
import { api } from "../client";
import type { ApiError } from "../problem";
import { act } from "./acting";
import { choose } from "./choices";
import { type Control, placeProblems, setError } from "./fields";
import { type KeyLimits, makeKey, type NewKey, rotateKey, showKey } from "./new_key";
import { notify } from "./notices";
import { guardUnsaved } from "./unsaved";

const DAY = 86_400;

class KeyList extends HTMLElement {
  connectedCallback(): void {
    this.addEventListener("click", (event) => {
      const button = (event.target as Element).closest("button");
      if (button?.matches("[data-make-key]")) void this.#press(button);
      if (button?.matches("[data-rotate]")) void act(button, () => this.#rotate(button), this.#error);
      if (button?.matches("[data-revoke]")) void act(button, () => this.#revoke(button));
    });
    guardUnsaved(this, () => this.#typed.some((control) => control.value !== control.defaultValue));
    // Enter in one of the fields would save the whole form.
    this.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.target as Element).matches("[data-name], [data-expires], [data-key-limit]"))
        return;
      event.preventDefault();
      this.querySelector<HTMLButtonElement>("[data-make-key]")?.click();
    });
  }

  get #name(): HTMLInputElement | null {
    return this.querySelector<HTMLInputElement>("[data-name]");
  }

  get #limits(): HTMLInputElement[] {
    return [...this.querySelectorAll<HTMLInputElement>("[data-key-limit]")];
  }

  get #expires(): HTMLInputElement | null {
    return this.querySelector<HTMLInputElement>("[data-expires]");
  }

  /** What is typed of a new key. */
  get #typed(): HTMLInputElement[] {
    return [this.#name, this.#expires, ...this.#limits].filter((control) => control !== null);
  }

  /** The fields of a new key, by the pointers under which the API names them. */
  get #controls(): Map<string, Control> {
    const controls = new Map<string, Control>(
      this.#limits.map((control) => [`/limits/${control.dataset.keyLimit}`, control]),
    );
    if (this.#name) controls.set("/name", this.#name);
    if (this.#expires) controls.set("/expires_at", this.#expires);
    return controls;
  }

  async #press(button: HTMLButtonElement): Promise<void> {
    for (const control of this.#controls.values()) setError(control);
    const broken = this.#typed.find((control) => control.validity.badInput);
    if (broken) {
      setError(broken, broken === this.#expires ? "Give a date and a time." : "This is no number.");
      broken.focus();
      return;
    }
    await act(
      button,
      () => this.#make(),
      this.#error,
      (error) => this.#tell(error),
    );
  }

  #tell(error: ApiError): boolean {
    const problems = error.problem.errors ?? [];
    const elsewhere = placeProblems(this.#controls, problems);
    if (problems.length === 0 || elsewhere.length) return false;
    this.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
    return true;
  }

  get #error(): HTMLElement | null {
    return this.closest("dialog")?.querySelector("[data-error]") ?? null;
  }

  async #make(): Promise<void> {
    const name = this.#name?.value ?? "";
    const scopes = [...this.querySelectorAll<HTMLInputElement>("[data-scope]:checked")].map((box) => box.value);
    const until = this.#expires?.value;
    this.#show(
      await makeKey(this.getAttribute("deployment") ?? "", name, {
        scopes,
        limits: this.#typedLimits(),
        expires_at: until ? new Date(until).toISOString() : null,
      }),
    );
    for (const control of this.#typed) control.defaultValue = control.value;
    await this.#drawKeys();
  }

  #typedLimits(): KeyLimits {
    const typed = this.#limits.filter((control) => control.value !== "");
    return Object.fromEntries(
      typed.map(({ dataset: { keyLimit = "" }, value }) => [
        keyLimit,
        keyLimit === "daily_max_cost_usd" ? value : Number(value),
      ]),
    );
  }

  #show(made: NewKey): void {
    const place = this.querySelector<HTMLElement>("[data-new-keys]");
    const words = `This is the key “${made.name}”. It is shown only now: copy it before you close this.`;
    if (place) showKey(place, made, words);
  }

  async #rotate(button: HTMLButtonElement): Promise<void> {
    const row = button.closest<HTMLElement>("[data-key]");
    const answer = await choose(
      `Rotate “${button.dataset.rotate}”?`,
      "It gets another secret, which opens the same and has the same limits. The one that it has can go on for a day," +
        " while you move callers over; or it ends at once, if somebody else may know it.",
      [
        ["0", "End it at once", "danger"],
        [String(DAY), "Rotate, keep it for a day", "primary"],
      ],
    );
    if (answer === undefined) return;
    this.#show(await rotateKey(row?.dataset.key ?? "", Number(answer)));
    notify(
      answer === "0"
        ? "The key has another secret. The one before opens nothing any more."
        : "The key has another secret. The one before opens the same for a day still.",
    );
    await this.#drawKeys();
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

  /** What is typed, and the keys that are shown this once, stay: only the table is drawn again. */
  async #drawKeys(): Promise<void> {
    await htmx.ajax("get", `/deployments/${this.getAttribute("deployment")}/configure`, {
      target: "#opening-keys",
      select: "#opening-keys",
      swap: "outerHTML",
    });
  }
}

customElements.define("key-list", KeyList);
