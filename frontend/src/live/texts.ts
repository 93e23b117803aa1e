/** The models' texts while they are written, put together from their pieces as docs/live.md says. */

import type { Delta } from "../types";

export class LiveTexts {
  readonly #texts = new Map<string, string>();

  /** The whole text of the piece's key as far as it is known, or undefined when something before the piece was missed.
   *
   * Offsets count characters as the server does: code points, of which JavaScript's strings know only the halves.
   */
  add(piece: Delta): string | undefined {
    const known = this.#texts.get(piece.key) ?? "";
    const end = unitsOf(known, piece.offset);
    if (end === undefined) return undefined;
    const text = known.slice(0, end) + piece.text;
    this.#texts.set(piece.key, text);
    return text;
  }

  forget(key: string): void {
    this.#texts.delete(key);
  }
}

/** Where in a string its code point of this number begins; undefined when it has fewer. */
function unitsOf(text: string, points: number): number | undefined {
  let units = 0;
  for (let seen = 0; seen < points; seen += 1) {
    const point = text.codePointAt(units);
    if (point === undefined) return undefined;
    units += point > 0xffff ? 2 : 1;
  }
  return units;
}
