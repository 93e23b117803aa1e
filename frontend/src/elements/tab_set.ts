/** `<tab-set>` around tabs and their panels: arrow keys, Home and End move, as the ARIA practices have it. */

export class TabSet extends HTMLElement {
  connectedCallback(): void {
    for (const tab of this.#tabs) tab.tabIndex = tab.ariaSelected === "true" ? 0 : -1;
    this.addEventListener("click", (event) => {
      const tab = (event.target as Element).closest<HTMLElement>('[role="tab"]');
      if (tab && this.#tabs.includes(tab)) this.#select(tab);
    });
    this.addEventListener("keydown", (event) => this.#move(event));
  }

  get #tabs(): HTMLElement[] {
    return [...this.querySelectorAll<HTMLElement>(':scope > [role="tablist"] > [role="tab"]')];
  }

  /** Shows the panel that the element is in. */
  reveal(element: Element): void {
    const panel = element.closest('[role="tabpanel"]');
    const tab = this.#tabs.find((one) => one.getAttribute("aria-controls") === panel?.id);
    if (tab) this.#select(tab);
  }

  #move(event: KeyboardEvent): void {
    const tabs = this.#tabs;
    const at = tabs.indexOf(event.target as HTMLElement);
    const steps: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 };
    const to = steps[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const tab = tabs.at(to % tabs.length);
    if (tab) this.#select(tab);
    tab?.focus();
  }

  #select(chosen: HTMLElement): void {
    for (const tab of this.#tabs) {
      tab.ariaSelected = String(tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      const panel = document.getElementById(tab.getAttribute("aria-controls") ?? "");
      if (panel) panel.hidden = tab !== chosen;
    }
  }
}

customElements.define("tab-set", TabSet);

declare global {
  interface HTMLElementTagNameMap {
    "tab-set": TabSet;
  }
}
