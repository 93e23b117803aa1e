/** `<json-editor label="Input">`: an editor of JSON text with its errors marked. Fires "change" with the text as detail.
 *
 * It stands in a shadow root: there the editor's styles are adopted sheets, which the content security policy allows.
 */

import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json, jsonParseLinter } from "@codemirror/lang-json";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { linter, lintGutter } from "@codemirror/lint";
import { EditorState, type Extension } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const COLOURS = HighlightStyle.define([
  { tag: tags.propertyName, color: "var(--accent)" },
  { tag: tags.string, color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--busy)" },
]);
const LOOKS = EditorView.theme({
  "&": {
    color: "var(--ink)",
    backgroundColor: "var(--surface)",
    border: "1px solid var(--line-strong)",
    borderRadius: "6px",
  },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "1px" },
  ".cm-scroller": {
    fontFamily: "var(--mono)",
    fontSize: "0.88rem",
    lineHeight: "1.55",
    maxHeight: "24rem",
    minHeight: "9rem",
  },
  ".cm-gutters": { color: "var(--ink-soft)", backgroundColor: "var(--sunken)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--accent) 7%, transparent)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-tooltip": { color: "var(--ink)", backgroundColor: "var(--raised)", border: "1px solid var(--line)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 28%, transparent)",
  },
});

export class JsonEditor extends HTMLElement {
  #view: EditorView | undefined;
  #text = "";

  get text(): string {
    return this.#view?.state.doc.toString() ?? this.#text;
  }

  set text(text: string) {
    this.#text = text;
    const view = this.#view;
    if (view && text !== this.text) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
  }

  connectedCallback(): void {
    if (this.#view) return;
    const root = this.attachShadow({ mode: "open" });
    const state = EditorState.create({ doc: this.#text, extensions: this.#extensions() });
    this.#view = new EditorView({ state, root, parent: root as unknown as Element });
  }

  override focus(): void {
    this.#view?.focus();
  }

  /** Tab leaves the editor: whoever has no mouse is not caught in it. */
  #extensions(): Extension[] {
    const name = { "aria-label": this.getAttribute("label") ?? "JSON" };
    return [
      [
        lineNumbers(),
        history(),
        drawSelection(),
        indentOnInput(),
        bracketMatching(),
        closeBrackets(),
        highlightActiveLine(),
      ],
      [json(), linter(jsonParseLinter()), lintGutter(), syntaxHighlighting(COLOURS), LOOKS, EditorView.lineWrapping],
      keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap]),
      EditorView.contentAttributes.of(name),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) this.dispatchEvent(new CustomEvent("change", { bubbles: true, detail: this.text }));
      }),
    ];
  }
}

customElements.define("json-editor", JsonEditor);
