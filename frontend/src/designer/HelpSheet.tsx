import { useEffect, useRef } from "react";

const SHORTCUTS: [keys: string, does: string][] = [
  ["Tab", "From block to block"],
  ["Enter", "Select the block, and edit it in the panel"],
  ["Arrow keys", "Move the selected blocks"],
  ["Ctrl Z · Ctrl Shift Z", "Undo · redo"],
  ["Ctrl C · Ctrl X · Ctrl V", "Copy · cut · paste"],
  ["Ctrl D", "Duplicate"],
  ["Delete", "Delete what is selected"],
  ["Ctrl A", "Select all blocks"],
  ["Escape", "Select nothing: the panel shows the design"],
  ["F", "Zoom to fit"],
  ["T", "Tidy up"],
  ["Ctrl S", "Save now"],
  ["Ctrl Enter", "Run the draft"],
  ["{{ in a text", "Names of inputs and outputs"],
  ["?", "This sheet"],
];

/** The keys, in a dialog. On a Mac, Command does what Ctrl does. */
export function HelpSheet({ close }: { close(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="panel" aria-labelledby="help-title" onClose={close}>
      <header>
        <h2 id="help-title">Shortcuts</h2>
        <button type="button" className="button quiet small push" data-closes>
          Close
        </button>
      </header>
      <div className="dialog-body">
        <dl className="facts">
          {SHORTCUTS.map(([keys, does]) => (
            <div key={keys} className="shortcut">
              <dt>
                <kbd>{keys}</kbd>
              </dt>
              <dd>{does}</dd>
            </div>
          ))}
        </dl>
        <p className="soft small">
          To connect two blocks by keyboard, select one and choose the other under Connections. Keys without Ctrl work
          while no field has the cursor. On a Mac, Command does what Ctrl does.
        </p>
      </div>
    </dialog>
  );
}
