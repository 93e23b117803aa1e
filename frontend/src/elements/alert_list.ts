/** `<alert-list deployment="id">`: whom a deployment alerts; adds, tests, switches and removes, and sends again. */

import htmx from "htmx.org";
import { api, type Json } from "../client";
import type { ApiError } from "../problem";
import { act } from "./acting";
import { type Control, placeProblems, setError } from "./fields";
import { showOnce } from "./new_key";
import { notify } from "./notices";
import { guardUnsaved, type Question } from "./unsaved";

const SHOWN_NOW = "This is its secret. It is shown only now: copy it before you close this.";
const SHOWN_ONCE: Question = {
  title: "Close without the secret?",
  words: "A new secret was not copied yet. It is shown only here and only now: closing loses it for good.",
  keep: "Go back to the secret",
  drop: "Close without it",
};

interface NewAlert {
  secret: string;
}

class AlertList extends HTMLElement {
  connectedCallback(): void {
    this.addEventListener("click", (event) => {
      const button = (event.target as Element).closest("button");
      if (button?.matches("[data-add]")) void this.#press(button);
      if (button?.matches("[data-do]")) void act(button, () => this.#do(button), this.#error);
      if (button?.matches("[data-edit]")) this.#edit(button.closest<HTMLElement>("[data-alert]"));
      if (button?.matches("[data-leave]")) this.#edit(null);
      if (button?.matches("[data-resend]")) void act(button, () => this.#resend(button), this.#error);
    });
    this.addEventListener("change", (event) => {
      if ((event.target as Element).matches("[data-kind]")) this.#showKind();
    });
    // Enter in one of the fields would save the whole form.
    this.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.target as Element).matches("[data-url], [data-addresses]")) return;
      event.preventDefault();
      this.querySelector<HTMLButtonElement>("[data-add]")?.click();
    });
    guardUnsaved(this, () => this.#hasChanged);
  }

  /** The target that is edited; undefined while the fields are a new one's. */
  #edited: string | undefined;

  get #hasChanged(): boolean {
    const typed = [...this.querySelectorAll<HTMLInputElement>("[data-url], [data-addresses]")];
    if (typed.some((control) => control.value !== control.defaultValue)) return true;
    return this.#edited !== undefined && this.#boxes.some((box) => box.checked !== box.defaultChecked);
  }

  get #boxes(): HTMLInputElement[] {
    return [...this.querySelectorAll<HTMLInputElement>("[data-event], [data-result]")];
  }

  /** Take a target into the fields below the table; null gives them back to a new one. */
  #edit(row: HTMLElement | null): void {
    const { alert, kindOf = "webhook", events, to = "" } = row?.dataset ?? {};
    this.#edited = alert;
    for (const control of this.#controls.values()) setError(control);
    for (const box of this.querySelectorAll<HTMLInputElement>("[data-kind]")) box.checked = box.value === kindOf;
    for (const box of this.querySelectorAll<HTMLInputElement>("[data-event]")) {
      box.dataset.usual ??= String(box.defaultChecked);
      box.defaultChecked = events === undefined ? box.dataset.usual === "true" : events.split(" ").includes(box.value);
      box.checked = box.defaultChecked;
    }
    for (const box of this.querySelectorAll<HTMLInputElement>("[data-result]")) {
      box.defaultChecked = row?.dataset.withResult !== undefined;
      box.checked = box.defaultChecked;
    }
    for (const control of this.querySelectorAll<HTMLInputElement>("[data-url], [data-addresses]")) {
      // Of a URL only what is no secret is shown: it is typed anew, or stays.
      control.defaultValue = row && kindOf === "email" && control.matches("[data-addresses]") ? to : "";
      control.value = control.defaultValue;
    }
    this.#say(row, to);
    this.#showKind();
    if (row) this.querySelector<HTMLElement>(kindOf === "email" ? "[data-addresses]" : "[data-url]")?.focus();
  }

  #say(row: HTMLElement | null, to: string): void {
    const legend = this.querySelector("[data-legend]");
    if (legend) legend.textContent = row ? `Change the alert to ${to}` : "A new alert";
    const add = this.querySelector("[data-add]");
    if (add) add.textContent = row ? "Change the alert" : "Add the alert";
    for (const part of this.querySelectorAll<HTMLElement>("[data-kinds], [data-of-new]")) part.hidden = row !== null;
    for (const part of this.querySelectorAll<HTMLElement>("[data-leave], [data-of-edited]")) part.hidden = row === null;
  }

  get #address(): string {
    return `/api/deployments/${this.getAttribute("deployment")}/alerts`;
  }

  get #error(): HTMLElement | null {
    return this.closest("dialog")?.querySelector("[data-error]") ?? null;
  }

  get #kind(): string {
    return this.querySelector<HTMLInputElement>("[data-kind]:checked")?.value ?? "webhook";
  }

  /** The fields of a new alert, by the pointers under which the API names them. */
  get #controls(): Map<string, Control> {
    const controls = new Map<string, Control>();
    for (const name of ["url", "addresses"]) {
      const control = this.querySelector<HTMLInputElement>(`[data-${name}]`);
      if (control) controls.set(`/${name}`, control);
    }
    return controls;
  }

  #showKind(): void {
    for (const part of this.querySelectorAll<HTMLElement>("[data-of]")) part.hidden = part.dataset.of !== this.#kind;
  }

  async #press(button: HTMLButtonElement): Promise<void> {
    for (const control of this.#controls.values()) setError(control);
    await act(
      button,
      () => this.#add(),
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

  async #add(): Promise<void> {
    if (this.#edited !== undefined) {
      const { kind, url, ...changes } = this.#typed();
      await api.patch(`${this.#address}/${this.#edited}`, url ? { ...changes, url } : changes);
      this.#edit(null);
      notify("The alert is changed.");
      return this.#drawTargets();
    }
    const made = await api.post<NewAlert>(this.#address, this.#typed());
    for (const control of this.#controls.values()) control.value = "";
    this.#showSecret(made, "The alert is added.");
    await this.#drawTargets();
  }

  #typed(): Record<string, Json> {
    const events = [...this.querySelectorAll<HTMLInputElement>("[data-event]:checked")].map((box) => box.value);
    const result = this.querySelector<HTMLInputElement>("[data-result]");
    const common = { kind: this.#kind, events, ...(result && { includes_result: result.checked }) };
    if (this.#kind === "webhook") return { ...common, url: this.#controls.get("/url")?.value.trim() ?? "" };
    const typed = this.#controls.get("/addresses")?.value.split(",") ?? [];
    return { ...common, addresses: typed.map((address) => address.trim()).filter((address) => address !== "") };
  }

  async #do(button: HTMLButtonElement): Promise<void> {
    // The first click asks, the second one does it.
    if (button.dataset.asks !== undefined && button.dataset.asked === undefined) {
      button.dataset.asked = "";
      button.textContent = button.dataset.asks;
      return;
    }
    const address = `${this.#address}/${button.closest<HTMLElement>("[data-alert]")?.dataset.alert}`;
    switch (button.dataset.do) {
      case "test":
        await api.post(`${address}/test`);
        notify("A test is on its way. The log says what comes of it.");
        return;
      case "rotate":
        this.#showSecret(
          await api.post<NewAlert>(`${address}/rotate-secret`),
          "For a day the old secret signs as well.",
        );
        break;
      case "remove":
        await api.delete(address);
        this.#edit(null);
        this.querySelector("#alert-log")?.replaceChildren();
        notify("The alert is removed.");
        break;
      default:
        await api.patch(address, { enabled: button.dataset.do === "on" });
    }
    await this.#drawTargets();
  }

  async #resend(button: HTMLButtonElement): Promise<void> {
    const alert = button.closest<HTMLElement>("[data-log]")?.dataset.log;
    const delivery = button.closest<HTMLElement>("[data-delivery]")?.dataset.delivery;
    await api.post(`${this.#address}/${alert}/deliveries/${delivery}/resend`);
    notify("It is on its way again.");
    await htmx.ajax("get", `/deployments/${this.getAttribute("deployment")}/alerts/${alert}/log`, "#alert-log");
  }

  /** What is typed elsewhere in the dialog stays: only the table is drawn again. */
  async #drawTargets(): Promise<void> {
    await htmx.ajax("get", `/deployments/${this.getAttribute("deployment")}/configure`, {
      target: "#alert-targets",
      select: "#alert-targets",
      swap: "outerHTML",
    });
  }

  #showSecret(made: NewAlert, sentence: string): void {
    const place = this.querySelector<HTMLElement>("[data-secret]");
    if (made.secret === "") notify(sentence);
    else if (place) showOnce(place, made.secret, `${sentence} ${SHOWN_NOW}`, "Copy the secret", SHOWN_ONCE);
  }
}

customElements.define("alert-list", AlertList);
