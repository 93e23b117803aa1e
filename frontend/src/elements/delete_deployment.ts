/** `<delete-deployment deployment="id" name="…">` around the form that asks first. */

import { deploymentApi } from "../api";
import { act, refreshDeployments } from "./acting";
import { notify } from "./notices";

class DeleteDeployment extends HTMLElement {
  connectedCallback(): void {
    this.querySelector("form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#delete(event.submitter as HTMLButtonElement | null);
    });
  }

  async #delete(button: HTMLButtonElement | null): Promise<void> {
    const id = this.getAttribute("deployment") ?? "";
    const place = this.querySelector<HTMLElement>("[data-error]");
    if (!(await act(button, () => deploymentApi.deleteDeployment(id), place))) return;
    this.closest("dialog")?.close();
    refreshDeployments();
    const history = { href: `/executions?deployment=${id}`, words: "See its history" };
    notify(`“${this.getAttribute("name")}” is deleted. Its history stays.`, "good", history);
  }
}

customElements.define("delete-deployment", DeleteDeployment);
