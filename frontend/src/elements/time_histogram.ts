/** `<time-histogram>` around a drawn histogram: a range of it can be chosen, with a pointer or from the keyboard.
 *
 * Two sliders stand at the ends of the range; Enter chooses it. "range-chosen" tells `{from, to}` as ISO instants.
 */

import { make } from "./make";

interface Bar {
  element: SVGGElement;
  start: string;
  end: string;
  said: string;
}
const SAID = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

class TimeHistogram extends HTMLElement {
  #bars: Bar[] = [];
  #range: [number, number] = [0, 0];
  #sliders: HTMLElement[] = [];
  readonly #said = make("p", { class: "small soft histogram-said" }, "Drag over the bars to choose a range.");

  connectedCallback(): void {
    if (this.#bars.length) return;
    this.#bars = [...this.querySelectorAll<SVGGElement>("g[data-start]")].map(barOf);
    const last = this.#bars.length - 1;
    if (last < 0) return;
    this.#range = [0, last];
    this.#sliders = [this.#slider("Begin of the range", 0), this.#slider("End of the range", 1)];
    const choose = make("button", { type: "button", class: "button small" }, "Show this range");
    choose.addEventListener("click", () => this.#choose());
    this.append(make("div", { class: "row histogram-range" }, ...this.#sliders, this.#said, choose));
    const drawing = this.querySelector<SVGSVGElement>("svg");
    if (drawing) this.#follow(drawing);
    this.#draw();
  }

  #slider(name: string, end: 0 | 1): HTMLElement {
    const slider = make("span", { role: "slider", tabindex: 0, class: "histogram-slider", "aria-label": name });
    slider.setAttribute("aria-valuemin", "0");
    slider.setAttribute("aria-valuemax", String(this.#bars.length - 1));
    slider.addEventListener("keydown", (event) => this.#press(event, end));
    return slider;
  }

  #press(event: KeyboardEvent, end: 0 | 1): void {
    const steps: Record<string, number> = {
      ArrowLeft: -1,
      ArrowDown: -1,
      ArrowRight: 1,
      ArrowUp: 1,
      PageDown: -10,
      PageUp: 10,
    };
    const far: Record<string, number> = { Home: 0, End: this.#bars.length - 1 };
    if (event.key === "Enter") this.#choose();
    const step = steps[event.key];
    const to = far[event.key] ?? (step === undefined ? undefined : this.#range[end] + step);
    if (to === undefined) return;
    event.preventDefault();
    this.#move(end, to);
  }

  #move(end: 0 | 1, to: number): void {
    const [first, last] = this.#range;
    const bounded = Math.min(this.#bars.length - 1, Math.max(0, to));
    this.#range = end === 0 ? [Math.min(bounded, last), last] : [first, Math.max(bounded, first)];
    this.#draw();
  }

  #follow(drawing: SVGSVGElement): void {
    let from: number | undefined;
    const barAt = (event: PointerEvent) => {
      const { left, width } = drawing.getBoundingClientRect();
      const place = Math.floor(((event.clientX - left) / width) * this.#bars.length);
      return Math.min(this.#bars.length - 1, Math.max(0, place));
    };
    drawing.addEventListener("pointerdown", (event) => {
      from = barAt(event);
      drawing.setPointerCapture(event.pointerId);
      this.#span(from, from);
    });
    drawing.addEventListener("pointermove", (event) => {
      if (from !== undefined) this.#span(from, barAt(event));
    });
    drawing.addEventListener("pointerup", (event) => {
      if (from === undefined) return;
      this.#span(from, barAt(event));
      from = undefined;
      this.#choose();
    });
  }

  #span(one: number, other: number): void {
    this.#range = [Math.min(one, other), Math.max(one, other)];
    this.#draw();
  }

  #draw(): void {
    const [first, last] = this.#range;
    this.#bars.forEach(({ element }, index) => {
      element.classList.toggle("outside", index < first || index > last);
    });
    const [start, end] = [this.#bars[first], this.#bars[last]];
    if (!start || !end) return;
    this.#tell(0, first, SAID.format(new Date(start.start)), start.said);
    this.#tell(1, last, SAID.format(new Date(end.end)), end.said);
    this.#said.textContent = `${SAID.format(new Date(start.start))} to ${SAID.format(new Date(end.end))}`;
  }

  #tell(end: 0 | 1, place: number, when: string, said: string): void {
    const slider = this.#sliders[end];
    slider?.setAttribute("aria-valuenow", String(place));
    slider?.setAttribute("aria-valuetext", `${when}, ${said}`);
    slider?.setAttribute("title", `${when}: move with the arrow keys, choose with Enter`);
  }

  #choose(): void {
    const [first, last] = this.#range;
    const detail = { from: this.#bars[first]?.start, to: this.#bars[last]?.end };
    this.dispatchEvent(new CustomEvent("range-chosen", { bubbles: true, detail }));
  }
}

function barOf(element: SVGGElement): Bar {
  const { start = "", end = "", count = "0", failed = "0" } = element.dataset;
  const counted = `${count} executions, ${failed} failed`;
  const said = "partly" in element.dataset ? `not counted to the end: at least ${counted}` : counted;
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  title.textContent = `${SAID.format(new Date(start))}: ${said}`;
  element.append(title);
  return { element, start, end, said };
}

customElements.define("time-histogram", TimeHistogram);
