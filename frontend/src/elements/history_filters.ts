/** `<history-filters>` around the form of a history: times in the reader's zone, the range that the histogram is drawn to.
 *
 * The address of a page holds what is filtered by, so that it can be shared and come back to.
 */

import htmx from "htmx.org";

class HistoryFilters extends HTMLElement {
  readonly #leave = new AbortController();

  connectedCallback(): void {
    for (const field of this.#dates()) this.#showLocal(field);
    this.addEventListener("change", (event) => this.#takeLocal(event.target as HTMLElement), { capture: true });
    this.querySelector("[data-clear]")?.addEventListener("click", () => this.#clear());
    this.#form?.addEventListener("htmx:configRequest", (event) => this.#ask(event as CustomEvent));
    document.addEventListener("range-chosen", (event) => this.#choose(event as CustomEvent), {
      signal: this.#leave.signal,
    });
  }

  disconnectedCallback(): void {
    this.#leave.abort();
  }

  get #form(): HTMLFormElement | null {
    return this.querySelector("form");
  }

  /** Only what is filled in is asked for; and what is asked for is in the page's address. */
  #ask({ detail }: CustomEvent<{ parameters: FormData & Record<string, string>; path: string }>): void {
    const asked = new URLSearchParams();
    for (const [name, value] of new FormData(this.#form ?? undefined)) if (value) asked.append(name, String(value));
    if (!this.closest("dialog")) history.replaceState(null, "", asked.size ? `?${asked}` : location.pathname);
    for (const name of [...Object.keys(detail.parameters)]) delete detail.parameters[name];
    asked.set("part", "list");
    detail.path = `${this.#form?.getAttribute("action")}?${asked}`;
  }

  #choose({ detail }: CustomEvent<{ from: string; to: string }>): void {
    this.#hidden("from").value = detail.from;
    this.#hidden("to").value = detail.to;
    for (const field of this.#dates()) this.#showLocal(field);
    this.#submit();
  }

  #clear(): void {
    for (const field of this.querySelectorAll<HTMLInputElement | HTMLSelectElement>("input, select")) field.value = "";
    this.#submit();
  }

  #submit(): void {
    if (this.#form) htmx.trigger(this.#form, "submit", {});
  }

  #dates(): HTMLInputElement[] {
    return [...this.querySelectorAll<HTMLInputElement>("[data-range]")];
  }

  #hidden(name: string): HTMLInputElement {
    return this.querySelector<HTMLInputElement>(`[name=${name}]`) as HTMLInputElement;
  }

  #showLocal(field: HTMLInputElement): void {
    const moment = new Date(this.#hidden(field.dataset.range ?? "").value);
    field.value = Number.isNaN(moment.getTime()) ? "" : localText(moment);
  }

  #takeLocal(field: HTMLElement): void {
    if (!(field instanceof HTMLInputElement) || !field.dataset.range) return;
    this.#hidden(field.dataset.range).value = field.value ? new Date(field.value).toISOString() : "";
  }
}

/** As `<input type="datetime-local">` wants it, in the reader's zone. */
function localText(moment: Date): string {
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

customElements.define("history-filters", HistoryFilters);
