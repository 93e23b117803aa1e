/** CodeMirror for texts with `{{names}}`. In a shadow root, where its styles are no inline styles to the site's policy. */

import {
  autocompletion,
  type CompletionContext,
  type CompletionResult,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { Compartment, EditorState } from "@codemirror/state";
import { Decoration, EditorView, keymap, MatchDecorator, ViewPlugin, type ViewUpdate } from "@codemirror/view";
import type { TemplateName } from "./names";

export interface TemplateEditor {
  show(text: string): void;
  /** What is wrong with the text; a screen reader says it with the field. */
  tell(problem: string | undefined): void;
  close(): void;
}

interface Options {
  text: string;
  label: string;
  isReadOnly: boolean;
  names(): readonly TemplateName[];
  onChange(text: string): void;
}

const LOOK = EditorView.theme({
  "&": { font: "inherit", color: "var(--ink)", minHeight: "4.5rem", maxHeight: "22rem" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "inherit", lineHeight: "1.5", overflow: "auto" },
  ".cm-content": { padding: "0.4rem 0", caretColor: "var(--ink)", minHeight: "4rem" },
  ".cm-line": { padding: "0 0.6rem" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-name": {
    background: "var(--accent-soft)",
    color: "var(--accent)",
    borderRadius: "4px",
    fontFamily: "var(--mono)",
    fontSize: "0.88em",
  },
  ".cm-tooltip": {
    background: "var(--raised)",
    border: "1px solid var(--line-strong)",
    borderRadius: "6px",
    color: "var(--ink)",
  },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { background: "var(--accent)", color: "var(--accent-ink)" },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "inherit", maxWidth: "min(24rem, 85vw)" },
  ".cm-completionDetail": { fontStyle: "normal", opacity: "0.85" },
});

const NAMES = new MatchDecorator({ regexp: /\{\{[^{}]*\}\}/g, decoration: Decoration.mark({ class: "cm-name" }) });
const SHOW_NAMES = ViewPlugin.fromClass(
  class {
    decorations;
    constructor(view: EditorView) {
      this.decorations = NAMES.createDeco(view);
    }
    update(update: ViewUpdate) {
      this.decorations = NAMES.updateDeco(update, this.decorations);
    }
  },
  { decorations: (plugin) => plugin.decorations },
);

export function openTemplateEditor(place: HTMLElement, options: Options): TemplateEditor {
  const root = place.shadowRoot ?? place.attachShadow({ mode: "open" });
  const attributes = new Compartment();
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        history(),
        keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap]),
        EditorView.lineWrapping,
        EditorState.readOnly.of(options.isReadOnly),
        autocompletion({ override: [(context) => propose(context, options.names())], icons: false }),
        attributes.of(named(options.label, undefined)),
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !update.transactions.some((one) => one.isUserEvent("shown"))) {
            options.onChange(update.state.doc.toString());
          }
        }),
        SHOW_NAMES,
        LOOK,
      ],
    }),
  });
  return {
    show: (text) => {
      const before = view.state.doc.toString();
      // A change from outside, as by undo: it is not told back.
      if (text !== before) view.dispatch({ changes: { from: 0, to: before.length, insert: text }, userEvent: "shown" });
    },
    tell: (problem) => view.dispatch({ effects: attributes.reconfigure(named(options.label, problem)) }),
    close: () => view.destroy(),
  };
}

function named(label: string, problem: string | undefined) {
  const attributes: Record<string, string> = { "aria-label": problem ? `${label}. Problem: ${problem}` : label };
  if (problem) attributes["aria-invalid"] = "true";
  return EditorView.contentAttributes.of(attributes);
}

function propose(context: CompletionContext, names: readonly TemplateName[]): CompletionResult | null {
  const begun = context.matchBefore(/\{\{\s*[\w.:-]*/);
  if (!begun && !context.explicit) return null;
  const isClosed = context.state.sliceDoc(context.pos, context.pos + 2) === "}}";
  const from = begun ? begun.from + (begun.text.match(/^\{\{\s*/)?.[0].length ?? 0) : context.pos;
  const opening = begun ? "" : "{{";
  return {
    from,
    options: names.map(({ name, about }) => ({
      label: name,
      detail: about,
      apply: `${opening}${name}${isClosed ? "" : "}}"}`,
    })),
    validFor: /^[\w.:-]*$/,
  };
}
