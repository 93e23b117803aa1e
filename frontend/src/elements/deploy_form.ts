/** `<deploy-form design="id" blocks="[…]" designer="…">`: deploys a design; its path is checked while it is typed. */

import htmx from "htmx.org";
import { deploymentApi, type NewDeployment } from "../api";
import { api } from "../client";
import { ApiError, type FieldProblem } from "../problem";
import { act, refreshDeployments, tellError } from "./acting";
import { setError } from "./fields";
import { make } from "./make";
import { guardUnsaved } from "./unsaved";

interface PathAnswer {
  state: "free" | "taken" | "invalid";
  endpoint_path: string;
  url: string;
  message: string | null;
}
const PAUSE_MS = 250;

class DeployForm extends HTMLElement {
  #timer = 0;
  #asking = new AbortController();

  connectedCallback(): void {
    this.querySelector("form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#deploy(event.submitter as HTMLButtonElement | null);
    });
    const path = this.#path;
    if (!path) return;
    path.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = window.setTimeout(() => void this.#check(path), PAUSE_MS);
    });
    guardUnsaved(this, () => this.#isChanged(path));
    path.focus();
    void this.#check(path);
  }

  disconnectedCallback(): void {
    clearTimeout(this.#timer);
    this.#asking.abort();
  }

  get #path(): HTMLInputElement | null {
    return this.querySelector<HTMLInputElement>("[name=endpoint_path]");
  }

  get #place(): HTMLElement | null {
    return this.querySelector<HTMLElement>("[data-error]");
  }

  /** Whether anything is otherwise than it was proposed. */
  #isChanged(path: HTMLInputElement): boolean {
    const version = this.querySelector<HTMLSelectElement>("[name=version]")?.selectedOptions[0];
    const schedule = this.querySelector("schedule-editor");
    const hasVersion = version !== undefined && !version.defaultSelected;
    return path.value !== path.defaultValue || hasVersion || (schedule?.value ?? null) !== null;
  }

  async #check(path: HTMLInputElement): Promise<void> {
    this.#asking.abort();
    this.#asking = new AbortController();
    try {
      const params = { path: path.value };
      const { signal } = this.#asking;
      // An empty parameter is left out of an address: then the API says what a path needs, all the same.
      this.#say(path, await api.get<PathAnswer>("/api/endpoint-paths", { params, signal }));
    } catch (error) {
      if (error instanceof ApiError) setError(path, error.message);
    }
  }

  #say(path: HTMLInputElement, answer: PathAnswer): void {
    const said = this.querySelector<HTMLElement>("[data-path-said]");
    setError(path, answer.message ?? "");
    if (said) said.textContent = answer.state === "free" ? `Free: it will be called at ${answer.url}` : "";
  }

  async #deploy(button: HTMLButtonElement | null): Promise<void> {
    const editor = this.querySelector("schedule-editor");
    if (editor?.isBroken) {
      tellError(this.#place, problem("The input of the schedule's runs is no JSON yet. Correct it, then deploy."));
      return;
    }
    await act(
      button,
      async () => this.#deployed((await deploymentApi.deployAs(this.#wanted())).id),
      this.#place,
      (error) => this.#tell(error),
    );
  }

  #wanted(): NewDeployment {
    const version = this.querySelector<HTMLSelectElement>("[name=version]")?.value ?? "latest";
    return {
      design_id: this.getAttribute("design") ?? "",
      endpoint_path: this.#path?.value ?? "",
      version: version === "latest" ? "latest" : Number(version),
      schedule: this.querySelector("schedule-editor")?.value ?? null,
    };
  }

  /** The dialog goes on as the panel that calls it. */
  async #deployed(id: string): Promise<void> {
    refreshDeployments();
    const dialog = this.closest("dialog");
    if (dialog) await htmx.ajax("get", `/deployments/${id}/call?deployed`, { target: dialog, select: "dialog > *" });
    dialog?.querySelector<HTMLElement>("[data-make-key]")?.focus();
  }

  /** Each error at its field; what belongs to none is said above. */
  #tell(error: ApiError): boolean {
    const problems = error.problem.errors ?? [];
    const editor = this.querySelector("schedule-editor");
    if (editor) editor.problems = below(problems, "/schedule");
    const path = this.#path;
    const ofPath = error.problem.type.endsWith("endpoint-taken") ? error.message : error.messageFor("/endpoint_path");
    if (path && ofPath) {
      setError(path, ofPath);
      path.focus();
    }
    const version = this.querySelector<HTMLSelectElement>("[name=version]");
    if (version) setError(version, error.messageFor("/version"));
    if (error.problem.type.endsWith("design-invalid")) this.#link(problems);
    else tellError(this.#place, error);
    return true;
  }

  /** The problems of a design, each leading to its block in the designer. */
  #link(problems: FieldProblem[]): void {
    const place = this.#place;
    const blocks = JSON.parse(this.getAttribute("blocks") ?? "[]") as string[];
    const items = problems.map(({ pointer, message }) => {
      const block = blocks[Number(/^\/blocks\/(\d+)/.exec(pointer)?.[1])];
      const anchor = block === undefined ? "" : `#block=${encodeURIComponent(block)}`;
      return make("li", {}, make("a", { href: `${this.getAttribute("designer")}${anchor}` }, message));
    });
    if (!place) return;
    place.hidden = false;
    place.replaceChildren(make("div", {}, make("p", {}, "The design cannot run yet:"), make("ul", {}, ...items)));
    place.scrollIntoView({ block: "nearest" });
  }
}

export function below(problems: FieldProblem[], place: string): FieldProblem[] {
  const inside = problems.filter(({ pointer }) => pointer === place || pointer.startsWith(`${place}/`));
  return inside.map((found) => ({ ...found, pointer: found.pointer.slice(place.length) }));
}

function problem(detail: string): ApiError {
  return new ApiError({ type: "about:blank", title: "Not sent", status: 422, detail });
}

customElements.define("deploy-form", DeployForm);
