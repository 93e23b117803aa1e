import { useReactFlow } from "@xyflow/react";
import { useDesigner } from "./context";
import { Icon, type IconName } from "./Icon";
import type { DesignerState } from "./reducer";
import type { SaveState } from "./saving";

export interface ToolbarActions {
  importFile(): void;
  exportFile(): void;
  help(): void;
  run(): void;
  deploy(): void;
}

interface Props {
  state: DesignerState;
  save: SaveState;
  actions: ToolbarActions;
}

const FIT = { padding: 0.15, maxZoom: 1, duration: 200 };

export function Toolbar({ state, save, actions }: Props) {
  const { page, dispatch } = useDesigner();
  const { fitView, zoomIn, zoomOut } = useReactFlow();
  const several = state.selection.blocks.length > 1;
  const nothing = !state.selection.blocks.length && !state.selection.connections.length;
  return (
    <div className="designer-toolbar" role="toolbar" aria-label="Designer">
      <a className="button quiet small" href={page.list_url} aria-label="All designs">
        <Icon name="back" />
      </a>
      <strong className="toolbar-name">{state.design.name || "(no name)"}</strong>
      {page.may.change ? <SaveMark save={save} /> : <span className="save-mark">Read only</span>}
      {page.may.change && (
        <span className="tools">
          <Tool name="Undo" icon="undo" off={!state.past.length} act={() => dispatch({ type: "undo" })} />
          <Tool name="Redo" icon="redo" off={!state.future.length} act={() => dispatch({ type: "redo" })} />
          <Tool
            name="Duplicate"
            icon="duplicate"
            off={!state.selection.blocks.length}
            act={() => dispatch({ type: "duplicate" })}
          />
          <Tool name="Delete" icon="delete" off={nothing} act={() => dispatch({ type: "delete" })} />
          <Tool name="Tidy up" icon="tidy" off={!state.design.blocks.length} act={() => dispatch({ type: "tidy" })} />
          <Tool name="Align left" icon="left" off={!several} act={() => dispatch({ type: "align", to: "left" })} />
          <Tool name="Align top" icon="top" off={!several} act={() => dispatch({ type: "align", to: "top" })} />
        </span>
      )}
      <span className="tools">
        <Tool name="Zoom out" icon="minus" act={() => void zoomOut()} />
        <Tool name="Zoom in" icon="plus" act={() => void zoomIn()} />
        <Tool name="Zoom to fit" icon="fit" act={() => void fitView(FIT)} />
        <Tool name="Shortcuts" icon="help" act={actions.help} />
      </span>
      <span className="tools push">
        {page.may.change && (
          <button type="button" className="button quiet small" onClick={actions.importFile}>
            Import
          </button>
        )}
        <button type="button" className="button quiet small" onClick={actions.exportFile}>
          Export
        </button>
        {page.may.execute && (
          <button type="button" className="button small" onClick={actions.run}>
            <Icon name="run" /> Run
          </button>
        )}
        {page.may.deploy && (
          <button type="button" className="button primary small" onClick={actions.deploy}>
            Deploy
          </button>
        )}
      </span>
    </div>
  );
}

function Tool({ name, icon, off = false, act }: { name: string; icon: IconName; off?: boolean; act(): void }) {
  return (
    <button
      type="button"
      className="button quiet small tool"
      aria-label={name}
      title={name}
      disabled={off}
      onClick={act}
    >
      <Icon name={icon} />
    </button>
  );
}

const WORDS = {
  saved: "Saved",
  unsaved: "Not saved yet",
  saving: "Saving…",
  conflict: "Not saved: changed by somebody else",
};

function SaveMark({ save }: { save: SaveState }) {
  const words = save.kind === "failed" ? `Not saved: ${save.sentence}` : WORDS[save.kind];
  return (
    <span className="save-mark" data-kind={save.kind} role="status" title={words}>
      {words}
    </span>
  );
}
