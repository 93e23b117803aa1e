/** Follows one execution over its socket: every event once and in order, and the models' text while it is written. */

import { addressOf, openSocket } from "../client";
import type { Alive, Delta, ExecutionEvent } from "../types";
import { closing, type FeedState, OFFLINE, waitBefore } from "./closings";
import { LiveTexts } from "./texts";

export type { FeedState } from "./closings";

export interface FeedWatcher {
  /** Only events after this seq. */
  after?: number;
  onEvent(event: ExecutionEvent): void;
  /** The whole text of one call so far. */
  onText(blockId: string, agent: string, key: string, fullText: string): void;
  /** What became of the connection, with a sentence for a person. */
  onState(state: FeedState, sentence: string): void;
}

/** A connection that is dead without either end's knowledge brings nothing: after so long without a word a new one is made. */
const LONGEST_SILENCE_MS = 45_000;

export function followExecution(executionId: string, watcher: FeedWatcher): { close(): void } {
  const feed = new ExecutionFeed(executionId, watcher);
  feed.open();
  return feed;
}

class ExecutionFeed {
  readonly #texts = new LiveTexts();
  readonly #leave = new AbortController();
  #socket: WebSocket | undefined;
  #seq: number;
  #tries = 0;
  #timer = 0;
  #silence = 0;

  constructor(
    readonly executionId: string,
    readonly watcher: FeedWatcher,
  ) {
    this.#seq = watcher.after ?? 0;
  }

  open(): void {
    const { signal } = this.#leave;
    window.addEventListener("offline", () => this.#pause(OFFLINE), { signal });
    window.addEventListener("online", () => this.#connect(), { signal });
    this.#connect();
  }

  close(): void {
    this.#leave.abort();
    this.#drop();
  }

  #connect(): void {
    this.#drop();
    const path = addressOf(`/ws/executions/${this.executionId}`, { after: this.#seq || undefined });
    const socket = openSocket(path);
    this.#socket = socket;
    // A socket that was given up may still have something to say: only the present one is heard.
    const heard = (listener: () => void) => () => {
      if (this.#socket === socket) listener();
    };
    socket.addEventListener(
      "open",
      heard(() => this.#opened()),
    );
    socket.addEventListener("message", (event) => heard(() => this.#take(event.data))());
    socket.addEventListener("close", (event) => heard(() => this.#closed(event.code))());
  }

  #opened(): void {
    this.#listen();
    this.watcher.onState("live", "Live.");
  }

  #listen(): void {
    clearTimeout(this.#silence);
    this.#silence = window.setTimeout(() => this.#connect(), LONGEST_SILENCE_MS);
  }

  #take(data: string): void {
    this.#listen();
    this.#tries = 0;
    const message = JSON.parse(data) as ExecutionEvent | Delta | Alive;
    if ("seq" in message) this.#pass(message);
    else if (message.type === "delta") this.#write(message);
  }

  #pass(event: ExecutionEvent): void {
    if (event.seq <= this.#seq) return;
    this.#seq = event.seq;
    this.watcher.onEvent(event);
  }

  #write(piece: Delta): void {
    const text = this.#texts.add(piece);
    if (text !== undefined) this.watcher.onText(piece.block_id, piece.agent, piece.key, text);
  }

  #closed(code: number): void {
    const [state, sentence] = closing(code);
    if (state === "reconnecting") this.#retry(sentence);
    else this.#finish(state, sentence);
  }

  #retry(sentence: string): void {
    this.#pause(sentence);
    if (navigator.onLine)
      this.#timer = window.setTimeout(() => this.#connect(), waitBefore(this.#tries, Math.random()));
    this.#tries += 1;
  }

  #pause(sentence: string): void {
    this.#drop();
    this.watcher.onState("reconnecting", sentence);
  }

  #finish(state: FeedState, sentence: string): void {
    this.close();
    this.watcher.onState(state, sentence);
  }

  #drop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }
}
