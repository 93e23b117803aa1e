import { ReactFlowProvider, useReactFlow } from "@xyflow/react";
import htmx from "htmx.org";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { designApi } from "../api";
import type { Json } from "../client";
import { chooseJsonFile, saveJson } from "../elements/json_files";
import { notify, notifyError } from "../elements/notices";
import type { BlockState } from "../live/progress";
import { Canvas } from "./Canvas";
import { copy } from "./clipboard";
import { DesignerContext, type Focus } from "./context";
import { HelpSheet } from "./HelpSheet";
import { Margin } from "./Margin";
import { Notices } from "./Notices";
import type { PageData } from "./page";
import type { PlacedProblem } from "./problems";
import { SidePanel, type Tab } from "./SidePanel";
import { useShortcuts } from "./shortcuts";
import { Toolbar } from "./Toolbar";
import { type Opened, useDraft } from "./use_draft";
import { useRun } from "./use_run";

interface Props {
  page: PageData;
  opened: Opened;
}

const FIT = { padding: 0.15, maxZoom: 1, duration: 200 };
const NO_STATES: ReadonlyMap<string, BlockState> = new Map();

export function App(props: Props) {
  return (
    <ReactFlowProvider>
      <Designer {...props} />
    </ReactFlowProvider>
  );
}

function Designer({ page, opened }: Props) {
  const { state, dispatch, save, revision, problems, flush, loadTheirs, importDocument } = useDraft(page, opened);
  const { design, selection } = state;
  const [tab, setTab] = useState<Tab>("edit");
  const [focus, setFocus] = useState<Focus>();
  const [isHelping, setHelping] = useState(false);
  const { run, start, cancel } = useRun(page.design_id, flush);
  const { fitView } = useReactFlow();
  const context = useMemo(
    () => ({ page, design, revision, problems, focus, dispatch }),
    [page, design, revision, problems, focus, dispatch],
  );

  const goTo = useCallback(
    ({ block, connection, path }: PlacedProblem) => {
      dispatch({
        type: "select",
        selection: block ? { blocks: [block] } : connection ? { connections: [connection] } : {},
      });
      setTab("edit");
      setFocus((before) => ({ path, number: (before?.number ?? 0) + 1 }));
      if (block) void fitView({ nodes: [{ id: block }], maxZoom: 1, duration: 200 });
    },
    [dispatch, fitView],
  );
  useLinkedBlock(goTo);

  const deploy = async () => {
    await flush();
    await htmx.ajax("get", `/deployments/new?design=${page.design_id}`, { target: "#dialogs" });
  };
  const importFile = async () => {
    const read = await chooseJsonFile();
    if (read === undefined) return;
    try {
      await importDocument(read);
      notify("The file is the draft now. Undo brings back what was there.");
    } catch (error) {
      notifyError(error);
    }
  };
  const actions = {
    undo: () => dispatch({ type: "undo" }),
    redo: () => dispatch({ type: "redo" }),
    duplicate: () => dispatch({ type: "duplicate" }),
    remove: () => dispatch({ type: "delete" }),
    selectAll: () => dispatch({ type: "selectAll" }),
    selectNothing: () => dispatch({ type: "select", selection: {} }),
    fit: () => void fitView(FIT),
    tidy: () => dispatch({ type: "tidy" }),
    save: () => void flush(),
    run: () => setTab("run"),
    help: () => setHelping(true),
    copied: () => copy(design, selection.blocks),
    paste: (fragment: ReturnType<typeof copy>) => dispatch({ type: "paste", fragment }),
  };
  useShortcuts(actions);

  return (
    <DesignerContext value={context}>
      <div className="designer">
        <Toolbar
          state={state}
          save={save}
          actions={{
            importFile: () => void importFile(),
            exportFile: () => {
              // What is drawn here, saved or not: the file may be all that is left of it. The audit is told where it can be.
              saveJson(design as unknown as Json, design.name);
              designApi.export(page.design_id).catch(notifyError);
            },
            help: actions.help,
            run: actions.run,
            deploy: () => void deploy(),
          }}
        />
        <Notices save={save} design={design} kept={opened.kept !== undefined} loadTheirs={loadTheirs} />
        <Margin goTo={goTo} />
        <Canvas selection={selection} states={run.state?.blocks ?? NO_STATES} />
        <SidePanel selection={selection} tab={tab} setTab={setTab} run={run} start={start} cancel={cancel} />
        <datalist id="designer-models">
          {page.models.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      </div>
      {isHelping && <HelpSheet close={() => setHelping(false)} />}
    </DesignerContext>
  );
}

/** `#block=<id>` in the address leads to that block, as links from problems do. */
function useLinkedBlock(goTo: (problem: PlacedProblem) => void): void {
  const wasFollowed = useRef(false);
  useEffect(() => {
    const follow = () => {
      const block = new URLSearchParams(location.hash.slice(1)).get("block");
      if (block) goTo({ block, connection: undefined, path: "/data/label", code: "", message: "" });
    };
    if (!wasFollowed.current) follow();
    wasFollowed.current = true;
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, [goTo]);
}
