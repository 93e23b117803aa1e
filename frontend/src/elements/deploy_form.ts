/** `<deploy-form>` around the form of a design: deploys it; its path is checked while it is typed. */

import htmx from "htmx.org";
import { deploymentApi, type NewDeployment } from "../api";
import { api } from "../client";
import { ApiError, type FieldProblem } from "../problem";
import type { ScheduleEditor } from "../schedule/schedule_editor";
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

/** What goes over into the form of another design. */
interface Kept {
  path?: string | undefined;
  schedule?: ScheduleEditor | null;
  isFirst?: boolean;
}

class DeployForm extends HTMLElement {
  #timer = 0;
  #asking = new AbortController();
  #kept: Kept = {};

  connectedCallback(): void {
    this.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#deploy(event.submitter as HTMLButtonElement | null);
    });
    this.addEventListener("input", (event) => {
      const path = this.#path;
      if (!path || event.target !== path) return;
      clearTimeout(this.#timer);
      this.#timer = window.setTimeout(() => void this.#check(path), PAUSE_MS);
    });
    this.#followChoice();
    guardUnsaved(this, () => this.#isChanged());
    this.#path?.focus();
    this.#checkPath();
  }

  disconnectedCallback(): void {
    clearTimeout(this.#timer);
    this.#asking.abort();
  }

  get #path(): HTMLInputElement | null {
    return this.querySelector<HTMLInputElement>("[name=endpoint_path]");
  }

  get #choice(): HTMLSelectElement | null {
    return this.querySelector<HTMLSelectElement>("[name=design]");
  }

  get #place(): HTMLElement | null {
    return this.querySelector<HTMLElement>("[data-error]");
  }

  /** What the form is about; it names no design before one is chosen. */
  get #about(): DOMStringMap {
    return this.querySelector("form")?.dataset ?? {};
  }

  /** Another design has fields of its own: what was typed in those before goes over into them. */
  #followChoice(): void {
    const isMine = (event: Event) => event.target === this;
    this.addEventListener("htmx:beforeRequest", () => this.#setReading(true));
    this.addEventListener("htmx:beforeSwap", (event) => isMine(event) && this.#keep());
    this.addEventListener("htmx:afterSwap", (event) => isMine(event) && this.#putBack());
    // htmx itself has put the cursor into the path. Once one design is chosen, the arrow keys may go on to the next.
    this.addEventListener("htmx:afterSettle", (event) => isMine(event) && !this.#kept.isFirst && this.#choice?.focus());
    for (const failed of ["htmx:sendError", "htmx:responseError"]) this.addEventListener(failed, () => this.#stay());
  }

  #keep(): void {
    const path = this.#path;
    this.#kept = {
      path: path && path.value !== path.defaultValue ? path.value : undefined,
      schedule: this.querySelector("schedule-editor"),
      isFirst: !this.#about.design,
    };
  }

  #putBack(): void {
    const [path, editor] = [this.#path, this.querySelector("schedule-editor")];
    const { path: typed, schedule } = this.#kept;
    if (path && typed !== undefined) path.value = typed;
    if (editor && schedule) {
      schedule.turnTo(editor);
      editor.replaceWith(schedule);
    }
    this.#checkPath();
  }

  /** The other design was not read: the form is still about the one before. */
  #stay(): void {
    const choice = this.#choice;
    if (choice) choice.value = this.#about.design ?? "";
    this.#setReading(false);
  }

  /** Nothing is deployed while the form is about another design than the one that was chosen. */
  #setReading(isReading: boolean): void {
    const deploy = this.querySelector<HTMLButtonElement>("[data-deploy]");
    if (deploy) deploy.ariaBusy = isReading ? "true" : null;
  }

  /** Whether anything is otherwise than it was proposed. */
  #isChanged(): boolean {
    const path = this.#path;
    const version = this.querySelector<HTMLSelectElement>("[name=version]")?.selectedOptions[0];
    const schedule = this.querySelector("schedule-editor");
    const hasVersion = version !== undefined && !version.defaultSelected;
    const hasPath = path !== null && path.value !== path.defaultValue;
    return hasPath || hasVersion || (schedule?.value ?? null) !== null;
  }

  #checkPath(): void {
    const path = this.#path;
    if (path) void this.#check(path);
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
      design_id: this.#about.design ?? "",
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
    const blocks = JSON.parse(this.#about.blocks ?? "[]") as string[];
    const items = problems.map(({ pointer, message }) => {
      const block = blocks[Number(/^\/blocks\/(\d+)/.exec(pointer)?.[1])];
      const anchor = block === undefined ? "" : `#block=${encodeURIComponent(block)}`;
      return make("li", {}, make("a", { href: `${this.#about.designer}${anchor}` }, message));
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
