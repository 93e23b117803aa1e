/** `<schedule-actions deployment="id">`: pauses, resumes and runs the schedule as it is saved, at once. */

import htmx from "htmx.org";
import { api, type Json } from "../client";
import { act, refreshDeployments } from "./acting";
import { notify } from "./notices";
import { guardUnsaved } from "./unsaved";

const DONE = { pause: "The schedule is paused.", resume: "The schedule is resumed." };

class ScheduleActions extends HTMLElement {
  connectedCallback(): void {
    this.addEventListener("click", (event) => {
      const button = (event.target as Element).closest<HTMLButtonElement>("[data-action]");
      if (button) void act(button, () => this.#do(button.dataset.action ?? ""), this.#error);
    });
    guardUnsaved(this, () => this.#reason !== "");
    // Enter in the reason would save the whole form.
    this.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.target as Element).matches("[data-reason]")) return;
      event.preventDefault();
      this.querySelector<HTMLButtonElement>("[data-action=pause]")?.click();
    });
  }

  get #reason(): string {
    return this.querySelector<HTMLInputElement>("[data-reason]")?.value ?? "";
  }

  get #error(): HTMLElement | null {
    return this.closest("dialog")?.querySelector("[data-error]") ?? null;
  }

  async #do(action: string): Promise<void> {
    const answer = await api.post<{ execution_id?: string }>(this.#address(action), this.#body(action));
    refreshDeployments();
    if (action === "run") {
      notify("It runs now.", "good", { href: `/executions/${answer.execution_id}`, words: "Watch it" });
      return;
    }
    notify(DONE[action as keyof typeof DONE]);
    // What was typed and not saved stays: only this part is drawn again.
    const place = this.parentElement;
    const id = this.getAttribute("deployment");
    await htmx.ajax("get", `/deployments/${id}/configure`, {
      target: this,
      select: "schedule-actions",
      swap: "outerHTML",
    });
    place?.querySelector<HTMLElement>("[data-action]")?.focus();
  }

  #address(action: string): string {
    return `/api/deployments/${this.getAttribute("deployment")}/schedule/${action}`;
  }

  #body(action: string): Json {
    if (action === "pause") return { reason: this.#reason };
    if (action !== "resume") return {};
    return { catch_up: this.querySelector<HTMLSelectElement>("[data-catch-up]")?.value ?? null };
  }
}

customElements.define("schedule-actions", ScheduleActions);
