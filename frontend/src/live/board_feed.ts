/** The numbers of all deployments, as they change: see docs/live.md. It connects again by itself. */

import { openSocket } from "../client";
import { closing, waitBefore } from "./closings";

export interface Numbers {
  id: string;
  status: string;
  execution_count: number;
  last_execution_at: string | null;
  queued: number;
  running: number;
}
interface BoardMessage {
  type: "snapshot" | "changes";
  deployments: Numbers[];
  removed?: string[];
}
export interface BoardWatcher {
  onNumbers(numbers: Numbers[], isSnapshot: boolean): void;
  onRemoved(ids: string[]): void;
  /** Null: the numbers are live. */
  onTrouble(sentence: string | null): void;
}
const SIGN_IN =
  "Your session is over, so the numbers stand still. Sign in again in another tab, then reload this page.";
const REFUSED = "The numbers are not shown live to you. Reload the page to see them.";
const LOST = "The live connection is lost: the numbers stand still. It is made again by itself.";

export class BoardFeed {
  #socket: WebSocket | undefined;
  #timer = 0;
  #tries = 0;
  readonly #leave = new AbortController();

  constructor(readonly watcher: BoardWatcher) {
    window.addEventListener("online", () => this.#open(), this.#leave);
    this.#open();
  }

  close(): void {
    this.#leave.abort();
    this.#drop();
  }

  #open(): void {
    this.#drop();
    const socket = openSocket("/ws/deployments");
    this.#socket = socket;
    socket.addEventListener("message", (event) => this.#socket === socket && this.#take(event.data as string));
    socket.addEventListener("close", (event) => this.#socket === socket && this.#closed(event.code));
  }

  #take(data: string): void {
    const message = JSON.parse(data) as BoardMessage;
    this.#tries = 0;
    this.watcher.onTrouble(null);
    this.watcher.onNumbers(message.deployments, message.type === "snapshot");
    if (message.removed?.length) this.watcher.onRemoved(message.removed);
  }

  #closed(code: number): void {
    const [state] = closing(code);
    if (state === "refused") {
      this.watcher.onTrouble(code === 4401 || code === 4419 ? SIGN_IN : REFUSED);
      return;
    }
    this.watcher.onTrouble(LOST);
    this.#timer = window.setTimeout(() => this.#open(), waitBefore(this.#tries, Math.random()));
    this.#tries += 1;
  }

  #drop(): void {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }
}
