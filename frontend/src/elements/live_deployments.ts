/** `<live-deployments cards="address">` around the list: its numbers move by themselves.
 *
 * What the socket says is written at once. What only the server can say (outcomes, next run, reasons) is asked for
 * again, for all deployments that moved together and never more often than every two seconds.
 */

import { BoardFeed, type Numbers } from "../live/board_feed";
import { refreshDeployments } from "./acting";

const PAUSE_MS = 2000;
/** Deployments in one message of the socket, at most. */
const SNAPSHOT_SIZE = 500;

class LiveDeployments extends HTMLElement {
  #feed: BoardFeed | undefined;
  #shown = new Map<string, Numbers>();
  #isWhole = false;
  #hasNew = false;
  #stale = new Set<string>();
  #timer = 0;

  connectedCallback(): void {
    this.#feed = new BoardFeed({
      onNumbers: (numbers, isSnapshot) => this.#take(numbers, isSnapshot),
      onRemoved: (ids) => {
        if (ids.some((id) => this.#find(id))) refreshDeployments();
      },
      onTrouble: (sentence) => this.#tell(sentence),
    });
    // A list that was drawn anew knows nothing of what runs.
    this.addEventListener("htmx:afterSettle", () => this.#redraw());
  }

  disconnectedCallback(): void {
    this.#feed?.close();
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  #take(numbers: Numbers[], isSnapshot: boolean): void {
    // After a snapshot that is full the rest of the list follows as changes: those are not new.
    if (isSnapshot) this.#isWhole = numbers.length < SNAPSHOT_SIZE;
    else if (this.#isWhole && numbers.some(({ id }) => !this.#shown.has(id))) this.#hasNew = true;
    if (isSnapshot) this.#shown.clear();
    for (const one of numbers) {
      this.#shown.set(one.id, one);
      this.#write(one);
    }
    this.#schedule();
    this.#showNew();
  }

  /** What was deployed meanwhile is shown once nobody stands in the list, or has come from there into a dialog. */
  #showNew(): void {
    const isUsed = this.querySelector("#deployments :focus") ?? document.querySelector("dialog[open]");
    if (!this.#hasNew || isUsed) return;
    this.#hasNew = false;
    refreshDeployments();
  }

  #schedule(): void {
    if (this.#stale.size && !this.#timer) this.#timer = window.setTimeout(() => void this.#ask(), PAUSE_MS);
  }

  #redraw(): void {
    for (const one of this.#shown.values()) this.#write(one);
    this.#schedule();
  }

  #write(one: Numbers): void {
    const card = this.#find(one.id);
    if (!card) return;
    setText(part(card, "count"), String(one.execution_count));
    setText(part(card, "now"), nowWords(one));
    // What the server drew may be older already than the first word of the socket.
    const numbers = `${one.status} ${one.execution_count} ${one.running + one.queued}`;
    if (card.dataset.numbers !== numbers) this.#stale.add(one.id);
  }

  async #ask(): Promise<void> {
    const ids = [...this.#stale].filter((id) => this.#find(id));
    this.#stale.clear();
    try {
      if (ids.length) await this.#draw(ids);
    } finally {
      this.#timer = 0;
      this.#schedule();
    }
  }

  async #draw(ids: string[]): Promise<void> {
    const query = new URLSearchParams(ids.map((id) => ["id", id]));
    const response = await fetch(`${this.getAttribute("cards")}?${query}`, { headers: { "HX-Request": "true" } }).catch(
      () => undefined,
    );
    // What could not be read now is read with the next change; that the connection is lost, the socket says.
    if (!response?.ok) return;
    const drawn = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const fresh of drawn.querySelectorAll<HTMLElement>("[data-deployment]")) this.#replace(fresh);
  }

  /** Part by part: a button that has the focus keeps it. */
  #replace(fresh: HTMLElement): void {
    const card = this.#find(fresh.dataset.deployment ?? "");
    if (card) card.dataset.numbers = fresh.dataset.numbers;
    for (const newer of fresh.querySelectorAll<HTMLElement>("[data-shows]")) {
      const name = newer.dataset.shows ?? "";
      const older = card && part(card, name);
      if (!older || name === "now" || name === "count" || older.contains(document.activeElement)) continue;
      if (older.innerHTML !== newer.innerHTML) older.replaceChildren(...newer.childNodes);
    }
  }

  #find(id: string): HTMLElement | null {
    return this.querySelector<HTMLElement>(`[data-deployment="${CSS.escape(id)}"]`);
  }

  #tell(sentence: string | null): void {
    const place = this.querySelector<HTMLElement>("[data-connection]");
    if (!place) return;
    place.hidden = sentence === null;
    setText(place, sentence ?? "");
  }
}

function part(card: HTMLElement, name: string): HTMLElement | null {
  return card.querySelector<HTMLElement>(`[data-shows="${name}"]`);
}

function setText(place: HTMLElement | null, text: string): void {
  if (place && place.textContent !== text) place.textContent = text;
}

function nowWords({ running, queued }: Numbers): string {
  return [running ? `${running} running` : "", queued ? `${queued} queued` : ""].filter(Boolean).join(", ");
}

customElements.define("live-deployments", LiveDeployments);
