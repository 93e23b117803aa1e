/** `<json-view name="result">` around a `<pre>` of JSON: shown as text, table or tree as it fits, to copy and to download. */

import type { Json } from "../client";
import { make } from "./make";
import { notify } from "./notices";
import { isObject, type JsonObject } from "./schema_fields";

const OPEN_DEPTH = 2;
const MOST_ROWS = 500;

export class JsonView extends HTMLElement {
  connectedCallback(): void {
    const source = this.querySelector(":scope > pre");
    if (source) this.show(JSON.parse(source.textContent ?? "null") as Json);
  }

  show(value: Json): void {
    this.replaceChildren(drawingOf(value, 0), this.#tools(value));
  }

  #tools(value: Json): HTMLElement {
    const isText = typeof value === "string";
    const text = isText ? value : JSON.stringify(value, null, 2);
    const copy = tool("Copy", () => void copyText(text));
    const download = tool("Download", () =>
      save(text, `${this.getAttribute("name") ?? "value"}.${isText ? "txt" : "json"}`),
    );
    return make("p", { class: "row json-tools" }, copy, download);
  }
}

async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    notify("Copied.");
  } catch {
    notify("The browser does not let this page copy. Download it instead.", "warn");
  }
}

function save(text: string, name: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function tool(name: string, act: () => void): HTMLButtonElement {
  const button = make("button", { type: "button", class: "button small" }, name);
  button.addEventListener("click", act);
  return button;
}

function drawingOf(value: Json, depth: number): HTMLElement {
  if (typeof value === "string") return make("div", { class: depth ? "json-text" : "json-text whole" }, value);
  if (isTable(value)) return tableOf(value);
  if (Array.isArray(value) || isObject(value)) return treeOf(value, depth);
  return make("code", {}, JSON.stringify(value));
}

/** A list of flat objects with the same few members. */
export function isTable(value: Json): value is JsonObject[] {
  if (!Array.isArray(value) || value.length < 2 || value.length > MOST_ROWS) return false;
  const columns = new Set(value.flatMap((row) => (isObject(row) ? Object.keys(row) : ["", ""])));
  return (
    columns.size > 0 && columns.size <= 8 && value.every((row) => isObject(row) && Object.values(row).every(isFlat))
  );
}

function isFlat(value: Json): boolean {
  return value === null || typeof value !== "object";
}

function tableOf(rows: JsonObject[]): HTMLElement {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const head = make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name)));
  const body = rows.map((row) => make("tr", {}, ...columns.map((name) => make("td", {}, shown(row[name])))));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Table" }, table);
}

function shown(value: Json | undefined): string {
  return typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
}

function treeOf(value: Json[] | JsonObject, depth: number): HTMLElement {
  const members = Object.entries(value);
  if (!members.length) return make("code", {}, Array.isArray(value) ? "[]" : "{}");
  const list = make("ul", { class: "json-tree" });
  for (const [name, member] of members) list.append(branch(name, member, depth));
  return list;
}

function branch(name: string, value: Json, depth: number): HTMLElement {
  const label = make("span", { class: "json-name" }, name);
  if (isFlat(value)) return make("li", {}, label, " ", drawingOf(value, depth + 1));
  const size = make("span", { class: "soft small" }, ` ${Object.keys(value as object).length}`);
  const open = depth < OPEN_DEPTH;
  const details = make("details", { open }, make("summary", {}, label, size));
  details.append(drawingOf(value, depth + 1));
  return make("li", {}, details);
}

customElements.define("json-view", JsonView);

declare global {
  interface HTMLElementTagNameMap {
    "json-view": JsonView;
  }
}
