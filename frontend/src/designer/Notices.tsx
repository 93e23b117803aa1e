import { useState } from "react";
import { designApi } from "../api";
import { notifyError } from "../elements/notices";
import type { Design } from "../types";
import { useDesigner } from "./context";
import type { SaveState } from "./saving";

interface Props {
  save: SaveState;
  design: Design;
  /** Whether this browser still had something that was not saved. */
  kept: boolean;
  loadTheirs(): Promise<void>;
}

/** What has to be decided, or known, about the saving of the draft. */
export function Notices({ save, design, kept, loadTheirs }: Props) {
  const { page } = useDesigner();
  const [wasSeen, setSeen] = useState(false);
  return (
    <div className="designer-notices">
      {!page.may.change && <p className="notice small">You may look at this design, and not change it.</p>}
      {kept && !wasSeen && save.kind !== "conflict" && (
        <div className="notice small" role="status">
          <span>What you had typed and not saved last time is here again.</span>
          <button type="button" className="button quiet small push" onClick={() => setSeen(true)}>
            Good
          </button>
        </div>
      )}
      {save.kind === "conflict" && <Conflict design={design} loadTheirs={loadTheirs} />}
    </div>
  );
}

function Conflict({ design, loadTheirs }: Pick<Props, "design" | "loadTheirs">) {
  const [isBusy, setBusy] = useState(false);
  const act = async (action: () => Promise<void>) => {
    setBusy(true);
    try {
      await action();
    } catch (error) {
      notifyError(error);
    } finally {
      setBusy(false);
    }
  };
  const saveCopy = async () => {
    const made = await designApi.create({ ...design, name: `${design.name.slice(0, 190)} (copy)` });
    await loadTheirs();
    location.assign(`/designs/${made.id}`);
  };
  return (
    <div className="notice bad conflict" role="alert">
      <p>
        Somebody else has saved this design meanwhile, so yours is not saved. Yours stays here as it is until you
        choose. After loading theirs, Undo brings yours back.
      </p>
      <span className="row">
        <button type="button" className="button small" disabled={isBusy} onClick={() => void act(loadTheirs)}>
          Load theirs
        </button>
        <button type="button" className="button small" disabled={isBusy} onClick={() => void act(saveCopy)}>
          Save mine as a copy
        </button>
      </span>
    </div>
  );
}
