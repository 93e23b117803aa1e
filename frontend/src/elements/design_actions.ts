/** What can be done with designs in their list: `<new-design>` makes one, `<design-actions>` acts on one. */

import { designApi } from "../api";
import type { Json } from "../client";
import { ApiError } from "../problem";
import { act } from "./acting";
import { choose } from "./choices";
import { chooseJsonFile, saveJson } from "./json_files";
import { notify } from "./notices";

const EMPTY: Json = { format: 1, name: "Untitled design", blocks: [], connections: [] };

function onAction(element: HTMLElement, actions: Record<string, () => Promise<void>>): void {
  element.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("button[data-action]");
    const action = actions[button?.dataset.action ?? ""];
    if (button && action) void act(button, action);
  });
}

/** The team that the page's choice stands at; empty where there is none to choose. */
function chosenTeam(): string {
  return document.querySelector<HTMLSelectElement>("select[data-team]")?.value ?? "";
}

async function createAndOpen(document: Json, team: string): Promise<void> {
  const made = await designApi.create(document, team);
  location.assign(`/designs/${made.id}`);
}

class NewDesign extends HTMLElement {
  constructor() {
    super();
    onAction(this, {
      new: () => createAndOpen(EMPTY, chosenTeam()),
      import: () => this.#importFile(),
      sample: async () => createAndOpen(await designApi.getSample(this.getAttribute("sample") ?? ""), chosenTeam()),
    });
  }

  async #importFile(): Promise<void> {
    const document = await chooseJsonFile();
    if (document === undefined) return;
    try {
      await createAndOpen(document, chosenTeam());
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 422) throw error;
      const found = (error.problem.errors ?? []).slice(0, 5).map((one) => `${one.pointer || "/"}: ${one.message}`);
      notify(`This file is no design. ${found.join(" ")}`, "bad");
    }
  }
}

class DesignActions extends HTMLElement {
  constructor() {
    super();
    onAction(this, {
      duplicate: () => this.#duplicate(),
      export: async () => saveJson(await designApi.export(this.#id), this.#name),
      delete: () => this.#delete(),
    });
  }

  get #id(): string {
    return this.getAttribute("design") ?? "";
  }

  get #name(): string {
    return this.getAttribute("name") ?? "";
  }

  async #duplicate(): Promise<void> {
    const { design } = await designApi.get(this.#id);
    const name = `${design.name.slice(0, 190)} (copy)`;
    await createAndOpen({ ...(design.document as unknown as Record<string, Json>), name }, design.team);
  }

  async #delete(): Promise<void> {
    const text = `Delete the design “${this.#name}” with its draft? The history of what it ran stays.`;
    if ((await choose("Delete this design?", text, [["delete", "Delete", "danger"]])) !== "delete") return;
    await designApi.remove(this.#id);
    this.closest("tr")?.remove();
    notify(`“${this.#name}” is deleted.`);
  }
}

customElements.define("new-design", NewDesign);
customElements.define("design-actions", DesignActions);
