import { useEffect, useRef } from "react";
import type { Json } from "../client";
import { BlockPanel } from "./BlockPanel";
import { ConnectionPanel } from "./Connections";
import { useDesigner } from "./context";
import { DesignPanel } from "./DesignPanel";
import { blockById } from "./document";
import { type Inputs, RunPanel } from "./RunPanel";
import type { Selection } from "./reducer";
import type { Run } from "./use_run";
import { VersionsPanel } from "./VersionsPanel";

export type Tab = "edit" | "run" | "versions";

const TABS: [Tab, string][] = [
  ["edit", "Edit"],
  ["run", "Run"],
  ["versions", "Versions"],
];

interface Props {
  selection: Selection;
  tab: Tab;
  setTab(tab: Tab): void;
  run: Run;
  start(input: Json, blockId?: string): Promise<void>;
  cancel(): Promise<void>;
}

/** Beside the canvas, or below it on a small screen: what is selected, the run, and the versions. */
export function SidePanel({ selection, tab, setTab, run, start, cancel }: Props) {
  const { design, page } = useDesigner();
  const panel = useRef<HTMLDivElement>(null);
  const inputs = useRef<Inputs>(new Map());
  useFocus(panel);
  const block = selection.blocks.length === 1 ? blockById(design, selection.blocks[0]) : undefined;
  return (
    <aside className="designer-panel" aria-label="Panel">
      <div role="tablist" aria-label="Panel">
        {TABS.filter(([name]) => name !== "run" || page.may.execute).map(([name, words]) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-controls="designer-tab"
            aria-selected={tab === name}
            onClick={() => setTab(name)}
          >
            {name === "edit" && !page.may.change ? "Look" : words}
          </button>
        ))}
      </div>
      <div ref={panel} className="panel-body" role="tabpanel" id="designer-tab" aria-labelledby={`tab-${tab}`}>
        {tab === "edit" && <Selected selection={selection} />}
        {tab === "run" && <RunPanel {...{ run, block, inputs: inputs.current, start, cancel }} />}
        {tab === "versions" && <VersionsPanel />}
      </div>
    </aside>
  );
}

function Selected({ selection }: { selection: Selection }) {
  const { design, page, dispatch } = useDesigner();
  const { blocks, connections } = selection;
  const block = blockById(design, blocks[0]);
  const connection = design.connections.find((one) => one.id === connections[0]);
  if (blocks.length + connections.length > 1) {
    return (
      <div className="stack">
        <h2 className="panel-title">
          {blocks.length} blocks and {connections.length} connections
        </h2>
        {page.may.change && (
          <button type="button" className="button danger small" onClick={() => dispatch({ type: "delete" })}>
            Delete them
          </button>
        )}
      </div>
    );
  }
  if (block) return <BlockPanel key={block.id} block={block} />;
  if (connection) return <ConnectionPanel key={connection.id} connection={connection} />;
  return <DesignPanel />;
}

/** Puts the cursor into the field that was asked for, once it is drawn: the nearest one that there is. */
function useFocus(panel: { current: HTMLElement | null }): void {
  const { focus } = useDesigner();
  useEffect(() => {
    if (!focus) return;
    // What was folded opens first.
    const timer = setTimeout(() => {
      const field = nearestField(panel.current, focus.path);
      if (field) focusIn(field);
    }, 50);
    return () => clearTimeout(timer);
  }, [focus, panel]);
}

function nearestField(panel: HTMLElement | null, path: string): HTMLElement | undefined {
  const fields = [...(panel?.querySelectorAll<HTMLElement>("[data-path]") ?? [])];
  const above = fields.filter((field) => {
    const own = field.dataset.path ?? "";
    return path === own || path.startsWith(`${own}/`);
  });
  return above.sort((one, other) => (other.dataset.path?.length ?? 0) - (one.dataset.path?.length ?? 0))[0];
}

function focusIn(field: HTMLElement): void {
  const closed = field.closest<HTMLDetailsElement>("details:not([open])");
  if (closed) closed.open = true;
  const inside =
    field.shadowRoot?.querySelector<HTMLElement>("[contenteditable]") ??
    field.querySelector<HTMLElement>('[aria-invalid="true"]') ??
    field.querySelector<HTMLElement>("input, select, textarea, button");
  const target = field.matches("input, select, textarea, summary") ? field : inside;
  target?.focus();
  field.scrollIntoView({ block: "center" });
}
