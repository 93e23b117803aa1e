/** What the models write while they write it: a place for each call that is open, and none once its result is there. */

import { callOf, callOfEvent } from "../live/calls";
import type { ExecutionEvent } from "../types";
import { make } from "./make";

/** As much as is shown of one text: its end is what is being written. */
const SHOWN_CHARACTERS = 6000;
const AT_ITS_END_PX = 24;

interface Place {
  blockId: string;
  agent: string;
  element: HTMLElement;
  text: HTMLElement;
}

export class LiveTextPlaces {
  readonly element = make("div", { class: "live-texts" });
  readonly #places = new Map<string, Place>();
  readonly #ended = new Set<string>();
  #isOver = false;

  constructor(readonly labelOf: (blockId: string) => string) {}

  /** A piece that comes behind its call's result, on another way, opens nothing any more. */
  write(blockId: string, agent: string, key: string, text: string): void {
    if (this.#isOver || this.#ended.has(callOf(key, agent))) return;
    const place = this.#places.get(key) ?? this.#open(blockId, agent, key);
    const follows = place.text.scrollHeight - place.text.scrollTop - place.text.clientHeight < AT_ITS_END_PX;
    place.text.textContent = text.length > SHOWN_CHARACTERS ? `… ${text.slice(-SHOWN_CHARACTERS)}` : text;
    if (follows) place.text.scrollTop = place.text.scrollHeight;
  }

  /** Closes the place of a call that has its result, and all places when the execution is over. */
  take(event: ExecutionEvent): void {
    const { type, block_id } = event;
    if (type === "agent.completed" || type === "agent.failed") {
      const call = callOfEvent(event);
      this.#ended.add(call);
      this.#close((place, key) => callOf(key, place.agent) === call);
    } else if (type.startsWith("block.") && type !== "block.started") {
      this.#close((place) => place.blockId === block_id);
    }
  }

  /** The execution is over. */
  clear(): void {
    this.#isOver = true;
    this.#close(() => true);
  }

  #open(blockId: string, agent: string, key: string): Place {
    const title = make("h2", {}, `${this.labelOf(blockId)} · ${agent}`, make("span", { class: "soft" }, " is writing"));
    const text = make("div", { class: "live-text", tabindex: 0, role: "region", "aria-label": `Text of ${agent}` });
    const place = { blockId, agent, text, element: make("article", {}, title, text) };
    this.#places.set(key, place);
    this.element.append(place.element);
    return place;
  }

  #close(isOver: (place: Place, key: string) => boolean): void {
    for (const [key, place] of this.#places) {
      if (!isOver(place, key)) continue;
      place.element.remove();
      this.#places.delete(key);
    }
  }
}
