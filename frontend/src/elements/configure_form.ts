/** `<configure-form deployment="id" etag="…" base="{…}">`: saves what was changed, on the revision that is shown.
 *
 * Where somebody else was quicker it says who has changed what, and keeps what was typed: it is saved on top of theirs
 * only when that is asked for.
 */

import htmx from "htmx.org";
import { deploymentApi } from "../api";
import type { Json } from "../client";
import { ApiError } from "../problem";
import { act, refreshDeployments, tellError } from "./acting";
import { changesFrom, changesInWords, type Settings, settingsOf } from "./changes";
import { below } from "./deploy_form";
import { type Control, placeProblems } from "./fields";
import { make } from "./make";
import { notify } from "./notices";
import { askBefore, guardUnsaved, requestClose } from "./unsaved";

const UNFINISHED = "A field holds something that is no value yet. Correct what is marked, then save.";
/** Limits that are sent as they are typed. */
const TEXTS = new Set(["when_full", "max_cost_usd", "daily_max_cost_usd"]);

/** Sends once more what somebody else was quicker with; the button that asks for it is busy meanwhile. */
type Sending = (button: HTMLButtonElement) => Promise<void>;

class ConfigureForm extends HTMLElement {
  #etag = "";
  #base: Settings = { status: "", schedule: null, limits: {} };

  connectedCallback(): void {
    this.#etag = this.getAttribute("etag") ?? "*";
    this.#base = JSON.parse(this.getAttribute("base") ?? "{}") as Settings;
    this.querySelector("form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#save(event.submitter as HTMLButtonElement | null);
    });
    this.addEventListener("click", (event) => {
      const button = (event.target as Element).closest<HTMLButtonElement>("[data-deploy-version]");
      if (button) void this.#deployVersion(button);
    });
    guardUnsaved(this, () => this.#isUnfinished() || changesFrom(this.#base, this.#typed()) !== undefined);
  }

  get #id(): string {
    return this.getAttribute("deployment") ?? "";
  }

  get #place(): HTMLElement | null {
    return this.querySelector<HTMLElement>("[data-error]");
  }

  get #limitControls(): Map<string, Control> {
    const controls = [...this.querySelectorAll<Control>("[data-limit]")];
    return new Map(controls.map((control) => [`/limits/${control.name}`, control]));
  }

  /** What the form shows now. */
  #typed(): Settings {
    const status = this.querySelector<HTMLInputElement>("[name=status]:checked")?.value ?? this.#base.status;
    const limits: Record<string, Json> = {};
    for (const control of this.#limitControls.values()) {
      limits[control.name] = limitOf(control, this.#base.limits[control.name] ?? null);
    }
    return { status, schedule: this.querySelector("schedule-editor")?.value ?? null, limits };
  }

  async #save(button: HTMLButtonElement | null): Promise<void> {
    if (this.#isUnfinished()) {
      tellError(this.#place, new ApiError({ type: "about:blank", title: "Not sent", status: 422, detail: UNFINISHED }));
      return;
    }
    const typed = this.#typed();
    const changes = changesFrom(this.#base, typed);
    if (changes === undefined) {
      this.#close("Nothing was changed.");
      return;
    }
    await this.#send(button, typed, changes);
  }

  #isUnfinished(): boolean {
    const isBroken = this.querySelector("schedule-editor")?.isBroken ?? false;
    return isBroken || [...this.#limitControls.values()].some((control) => control.validity.badInput);
  }

  /** What was typed meanwhile is no part of it. */
  async #send(button: HTMLButtonElement | null, typed: Settings, changes: Record<string, unknown>): Promise<void> {
    const work = async () => {
      const { etag } = await deploymentApi.changeDeployment(this.#id, changes, this.#etag);
      this.#etag = etag;
      this.#base = typed;
      refreshDeployments();
      this.#close("Saved.");
    };
    await act(button, work, this.#place, (error) => this.#tell(error, (mine) => this.#send(mine, typed, changes)));
  }

  /** A new key that was not copied yet is asked for. */
  #close(sentence: string): void {
    notify(sentence);
    const dialog = this.closest("dialog");
    if (dialog) requestClose(dialog);
  }

  async #tell(error: ApiError, again: Sending): Promise<boolean> {
    if (error.status === 412) {
      await this.#showConflict(again);
      return true;
    }
    const problems = error.problem.errors ?? [];
    const editor = this.querySelector("schedule-editor");
    if (editor) editor.problems = below(problems, "/schedule");
    placeProblems(this.#limitControls, problems);
    const wrong = [...this.querySelectorAll('[aria-invalid="true"]')].find((one) =>
      one.matches("input, select, textarea"),
    );
    const tabs = this.querySelector("tab-set");
    if (wrong) tabs?.reveal(wrong);
    tellError(this.#place, error);
    (wrong as HTMLElement | undefined)?.focus();
    return true;
  }

  /** Who has changed what meanwhile, and what can be done about it. What was typed stays where it is. */
  async #showConflict(again: Sending): Promise<void> {
    const { data, etag } = await deploymentApi.getTagged(this.#id);
    const place = this.querySelector<HTMLElement>("[data-conflict]");
    if (!place) return;
    const theirs = changesInWords(this.#base, settingsOf(data));
    if (theirs.length === 0) theirs.push(`version: ${data.version}`);
    const mine = make("button", { type: "button", class: "button small" }, "Save mine on top of it");
    mine.addEventListener("click", () => {
      place.hidden = true;
      this.#etag = etag;
      void again(mine);
    });
    const take = make("button", { type: "button", class: "button small" }, "Drop mine, show what is saved");
    take.addEventListener("click", () =>
      askBefore(this.querySelector("[data-new-keys]") ?? take, () => void this.#reload()),
    );
    place.replaceChildren(
      make(
        "div",
        { class: "stack" },
        make(
          "p",
          {},
          `${data.updated_by || "Somebody"} has changed this deployment meanwhile. Nothing of yours is saved yet, and all that you typed is still here.`,
        ),
        make("ul", {}, ...theirs.map((line) => make("li", {}, line))),
        make("div", { class: "row" }, mine, take),
      ),
    );
    place.hidden = false;
    place.scrollIntoView({ block: "nearest" });
    mine.focus();
  }

  async #reload(): Promise<void> {
    await htmx.ajax("get", `/deployments/${this.#id}/configure`, {
      target: this,
      select: "configure-form",
      swap: "outerHTML",
    });
  }

  /** At once, whatever else was typed: that is saved, or not, by itself. */
  async #deployVersion(button: HTMLButtonElement): Promise<void> {
    const wanted = this.querySelector<HTMLSelectElement>("[name=with]")?.value ?? "latest";
    const version = wanted === "latest" ? wanted : Number(wanted);
    const work = async () => {
      const { data, etag } = await deploymentApi.changeDeployment(this.#id, { version }, this.#etag);
      this.#etag = etag;
      refreshDeployments();
      notify(`Version ${data.version} is live.`);
      await htmx.ajax("get", `/deployments/${this.#id}/configure?tab=version`, {
        target: "#panel-version",
        select: "#panel-version",
        swap: "outerHTML",
      });
    };
    const again = () => this.#deployVersion(button);
    await act(button, work, this.#place, (error) => error.status === 412 && this.#tell(error, again));
  }
}

/** A number as the API takes it. Money stays text, and what was not touched stays as it was. */
function limitOf(control: Control, before: Json): Json {
  if (control.value === String(before ?? "")) return before;
  if (control.value === "") return null;
  return TEXTS.has(control.name) ? control.value : Number(control.value);
}

customElements.define("configure-form", ConfigureForm);
