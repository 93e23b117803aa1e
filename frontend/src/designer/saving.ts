/** Saves the draft by itself, one save at a time, and never over what somebody else has saved meanwhile.
 *
 * What is not saved yet is also kept in this browser, so that neither a lost network, nor a session that is over, nor a
 * closed page loses it.
 */

import { ApiError, type FieldProblem } from "../problem";
import type { Design, DesignDetail } from "../types";

export type SaveState =
  | { kind: "saved" }
  | { kind: "unsaved" }
  | { kind: "saving" }
  | { kind: "failed"; sentence: string; problems: FieldProblem[] }
  | { kind: "conflict" };

export interface Kept {
  design: Design;
  etag: string;
}

export interface Ports {
  save(design: Design, etag: string): Promise<{ design: DesignDetail; etag: string }>;
  keep(kept: Kept | undefined): void;
  /** The last argument is the document that the state is about. */
  onState(state: SaveState, about: Design): void;
  onSaved(answer: DesignDetail, sent: Design): void;
}

const PAUSE_MS = 700;
const RETRY_MS = 5_000;

export class DraftSaver {
  #etag: string;
  #saved: Design;
  #current: Design;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #inConflict = false;

  constructor(
    design: Design,
    etag: string,
    readonly ports: Ports,
  ) {
    this.#saved = design;
    this.#current = design;
    this.#etag = etag;
  }

  get isSaved(): boolean {
    return this.#current === this.#saved;
  }

  get etag(): string {
    return this.#etag;
  }

  /** The document as it is now. It is saved a moment after the last change. */
  change(design: Design): void {
    if (design === this.#current) return;
    this.#current = design;
    if (this.isSaved) {
      this.#tell({ kind: "saved" });
      this.ports.keep(undefined);
      return;
    }
    this.ports.keep({ design, etag: this.#etag });
    if (this.#inConflict) return;
    this.#tell({ kind: "unsaved" });
    this.#plan(PAUSE_MS);
  }

  /** Save now. Resolves to whether all is saved. */
  async flush(): Promise<boolean> {
    clearTimeout(this.#timer);
    while (!this.isSaved && !this.#inConflict) {
      const before = this.#saved;
      this.#running ??= this.#save();
      await this.#running;
      if (before === this.#saved) break;
    }
    return this.isSaved;
  }

  /** Their version was loaded: it is what the next save is made on. */
  accept(design: Design, etag: string): void {
    clearTimeout(this.#timer);
    this.#inConflict = false;
    this.#saved = design;
    this.#current = design;
    this.#etag = etag;
    this.ports.keep(undefined);
    this.#tell({ kind: "saved" });
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #tell(state: SaveState): void {
    this.ports.onState(state, this.#current);
  }

  #plan(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.flush(), milliseconds);
  }

  async #save(): Promise<void> {
    const sent = this.#current;
    this.#tell({ kind: "saving" });
    try {
      const { design, etag } = await this.ports.save(sent, this.#etag);
      this.#etag = etag;
      this.#saved = sent;
      this.ports.keep(this.isSaved ? undefined : { design: this.#current, etag });
      this.ports.onSaved(design, sent);
      this.#tell(this.isSaved ? { kind: "saved" } : { kind: "unsaved" });
    } catch (error) {
      this.#fail(error, sent);
    } finally {
      this.#running = undefined;
    }
  }

  #fail(error: unknown, sent: Design): void {
    if (error instanceof ApiError && error.status === 412) {
      this.#inConflict = true;
      this.ports.onState({ kind: "conflict" }, sent);
      return;
    }
    const sentence = error instanceof Error ? error.message : String(error);
    const problems = error instanceof ApiError ? (error.problem.errors ?? []) : [];
    this.ports.onState({ kind: "failed", sentence, problems }, sent);
    // A document that the site refuses is sent again when it has changed; all else may pass by itself.
    const mayPass = !(error instanceof ApiError) || error.status === 0 || error.status === 401 || error.status >= 500;
    if (mayPass) this.#plan(RETRY_MS);
  }
}
