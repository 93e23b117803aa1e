/** `<execution-graph graph="{…}" states="{…}">`: the blocks of a design, each with its state as a word beside a mark.
 *
 * It is a list, to a screen reader and on a narrow screen, that stands over the drawn connections. With `links` each
 * block leads to its part of the record, `#block-<id>`.
 */

import type { BlockProgress } from "../live/progress";
import { BLOCK, curve, type Graph, type GraphBlock, type Layout, layOut } from "./graph_layout";
import { make, makeSvg } from "./make";

interface Drawn {
  state: HTMLElement;
  note: HTMLElement;
  box: HTMLElement;
}
const WAITING: BlockProgress = { state: "waiting", reused: false, note: "" };

export class ExecutionGraph extends HTMLElement {
  readonly #drawn = new Map<string, Drawn>();
  readonly #edges: { source: string; target: string; drawn: SVGElement }[] = [];

  connectedCallback(): void {
    if (this.childElementCount) return;
    const graph = JSON.parse(this.getAttribute("graph") ?? '{"blocks":[],"connections":[]}') as Graph;
    const layout = layOut(graph);
    const list = make("ol", { class: "graph-blocks", "aria-label": "Blocks" });
    for (const block of graph.blocks) list.append(this.#block(block, layout));
    const canvas = make("div", { class: "graph-canvas" }, this.#connections(graph, layout), list);
    canvas.style.width = `${layout.width}px`;
    canvas.style.height = `${layout.height}px`;
    this.append(canvas);
    this.show(
      new Map(Object.entries(JSON.parse(this.getAttribute("states") ?? "{}") as Record<string, BlockProgress>)),
    );
  }

  /** Shows these states; a block without one waits. */
  show(states: ReadonlyMap<string, BlockProgress>): void {
    for (const [id, drawn] of this.#drawn) {
      const { state, reused, note } = states.get(id) ?? WAITING;
      drawn.box.dataset.state = state;
      drawn.state.dataset.state = state;
      write(drawn.state, reused ? `${state}, reused` : state);
      write(drawn.note, note);
      drawn.box.title = note;
    }
    for (const { source, target, drawn } of this.#edges) {
      const isDead = states.get(target)?.state === "skipped";
      drawn.dataset.state = isDead ? "skipped" : (states.get(source) ?? WAITING).state;
    }
  }

  #block(block: GraphBlock, layout: Layout): HTMLElement {
    const state = make("span", { class: "state" });
    const note = make("span", { class: "graph-note" });
    const name = this.hasAttribute("links")
      ? make("a", { href: `#block-${block.id}` }, block.label)
      : make("strong", {}, block.label);
    const about = block.agents.length === 1 ? (block.agents[0] ?? "") : `${block.agents.length} agents`;
    const kind = make("span", { class: "graph-kind" }, `${block.type} · ${about}`);
    const box = make("li", { class: "graph-block" }, name, kind, state, note);
    const { x, y } = layout.places.get(block.id) ?? { x: 0, y: 0 };
    Object.assign(box.style, {
      left: `${x}px`,
      top: `${y}px`,
      width: `${BLOCK.width}px`,
      minHeight: `${BLOCK.height}px`,
    });
    this.#drawn.set(block.id, { state, note, box });
    return box;
  }

  #connections(graph: Graph, layout: Layout): SVGElement {
    const { width, height } = layout;
    const drawing = makeSvg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    for (const { source, target } of graph.connections) {
      const from = layout.places.get(source);
      const to = layout.places.get(target);
      if (!from || !to) continue;
      const drawn = makeSvg("path", { d: curve(from, to), class: "graph-edge" });
      this.#edges.push({ source, target, drawn });
      drawing.append(drawn);
    }
    return drawing;
  }
}

function write(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

customElements.define("execution-graph", ExecutionGraph);

declare global {
  interface HTMLElementTagNameMap {
    "execution-graph": ExecutionGraph;
  }
}
