/** The draft of the page: the reducer's state, kept saved. */

import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import { designApi, type ReadDesign } from "../api";
import type { Json } from "../client";
import { ApiError, type FieldProblem } from "../problem";
import type { Design } from "../types";
import { keepDraft } from "./kept_drafts";
import { laidOut } from "./layout";
import type { PageData } from "./page";
import { placeProblems } from "./problems";
import { type Action, reduce, startingState } from "./reducer";
import { isSameDocument } from "./same_document";
import { DraftSaver, type SaveState } from "./saving";

/** What was opened: the draft as the site has it, and what this browser still had of it. */
export interface Opened {
  design: Design;
  etag: string;
  problems: FieldProblem[];
  kept: { design: Design; etag: string } | undefined;
}

export function useDraft(page: PageData, opened: Opened) {
  const [state, dispatch] = useReducer(reduce, opened.design, startingState);
  const [save, setSave] = useState<SaveState>({ kind: "saved" });
  const [checked, setChecked] = useState({ design: opened.design, problems: opened.problems });
  const saver = useRef<DraftSaver>(undefined);
  saver.current ??= new DraftSaver(opened.design, opened.kept?.etag ?? opened.etag, {
    save: (design, etag) => saveOnto(page.design_id, design, etag),
    keep: (kept) => keepDraft(page.design_id, kept),
    onState: (next, about) => {
      setSave(next);
      if (next.kind === "failed" && next.problems.length) setChecked({ design: about, problems: next.problems });
    },
    onSaved: (answer, sent) => setChecked({ design: sent, problems: answer.problems }),
  });

  const change = useCallback(
    (action: Action) => {
      if (page.may.change || action.type === "select" || action.type === "mark") dispatch(action);
    },
    [page.may.change],
  );
  useEffect(() => {
    if (opened.kept) change({ type: "replace", design: opened.kept.design });
  }, [opened.kept, change]);
  useEffect(() => saver.current?.change(state.design), [state.design]);
  useSavingBeforeLeaving(saver);

  const problems = useMemo(() => placeProblems(checked.design, checked.problems), [checked]);
  const flush = useCallback(async () => (await saver.current?.flush()) ?? true, []);
  const takeOver = useCallback(({ design, etag }: ReadDesign) => {
    const document = laidOut(design.document);
    saver.current?.accept(document, etag);
    // A step like any other: Undo brings back what was there.
    dispatch({ type: "replace", design: document });
    setChecked({ design: document, problems: design.problems });
  }, []);
  const loadTheirs = useCallback(async () => takeOver(await designApi.get(page.design_id)), [page.design_id, takeOver]);
  /** The document in any spelling that the site reads, saved and shown in the site's own. */
  const importDocument = useCallback(
    async (document: Json) => {
      if (!(await flush()) || !saver.current) throw new Error("The draft could not be saved, so nothing was imported.");
      takeOver(await designApi.save(page.design_id, document, saver.current.etag));
    },
    [page.design_id, flush, takeOver],
  );
  const revision = saver.current.etag;
  return { state, dispatch: change, save, revision, problems, flush, loadTheirs, importDocument };
}

/** A page that is left saves at once; what cannot be saved is still kept in this browser. */
function useSavingBeforeLeaving(saver: { current: DraftSaver | undefined }): void {
  useEffect(() => {
    const leave = new AbortController();
    const { signal } = leave;
    const flush = () => void saver.current?.flush();
    document.addEventListener("visibilitychange", flush, { signal });
    window.addEventListener("online", flush, { signal });
    window.addEventListener("focus", flush, { signal });
    return () => leave.abort();
  }, [saver]);
}

/** Saves. A refusal because of a save of our own, whose answer was lost on its way, is no conflict. */
async function saveOnto(designId: string, design: Design, etag: string): Promise<ReadDesign> {
  try {
    return await designApi.save(designId, design, etag);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 412) throw error;
    const theirs = await designApi.get(designId);
    if (isSameDocument(theirs.design.document, design)) return theirs;
    throw error;
  }
}
