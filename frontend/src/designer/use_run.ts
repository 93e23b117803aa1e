/** A run of the draft, started from the canvas and followed live. */

import { useCallback, useEffect, useRef, useState } from "react";
import { designApi, executionApi } from "../api";
import type { Json } from "../client";
import { type FeedState, followExecution } from "../live/execution_feed";
import { ApiError, type FieldProblem } from "../problem";
import { isOver, type RunState, startingRun, withEvent, withText } from "./run_state";

export interface Run {
  state: RunState | undefined;
  /** What became of the live connection. */
  feed: { state: FeedState; sentence: string } | undefined;
  result: Json | undefined;
  /** Why it could not be started. */
  refusal: { sentence: string; problems: FieldProblem[] } | undefined;
  isStarting: boolean;
}

const NO_RUN: Run = { state: undefined, feed: undefined, result: undefined, refusal: undefined, isStarting: false };

export function useRun(designId: string, save: () => Promise<boolean>) {
  const [run, setRun] = useState<Run>(NO_RUN);
  const feed = useRef<{ close(): void } | undefined>(undefined);
  useEffect(() => () => feed.current?.close(), []);

  const follow = useCallback((executionId: string) => {
    const change = (next: (state: RunState) => RunState) =>
      setRun((before) => (before.state ? { ...before, state: next(before.state) } : before));
    setRun({ ...NO_RUN, state: startingRun(executionId) });
    feed.current = followExecution(executionId, {
      onEvent: (event) => {
        change((state) => withEvent(state, event));
        if (event.type === "execution.completed") void readResult(executionId, setRun);
      },
      onText: (block, agent, key, text) => change((state) => withText(state, block, agent, key, text)),
      onState: (state, sentence) => setRun((before) => ({ ...before, feed: { state, sentence } })),
    });
  }, []);

  const start = useCallback(
    async (input: Json, blockId?: string) => {
      feed.current?.close();
      setRun({ ...NO_RUN, isStarting: true });
      const refuse = (sentence: string, problems: FieldProblem[] = []) =>
        setRun({ ...NO_RUN, refusal: { sentence, problems } });
      if (!(await save())) {
        refuse("The draft could not be saved, so it was not run: see beside the name above why.");
        return;
      }
      try {
        follow((await designApi.execute(designId, input, blockId)).execution_id);
      } catch (error) {
        if (error instanceof ApiError) refuse(error.message, error.problem.errors);
        else refuse(String(error));
      }
    },
    [designId, save, follow],
  );

  const cancel = useCallback(async () => {
    if (!run.state || isOver(run.state)) return;
    try {
      await executionApi.cancel(run.state.executionId);
    } catch (error) {
      const sentence = error instanceof Error ? error.message : String(error);
      setRun((before) => ({ ...before, feed: { state: "live", sentence } }));
    }
  }, [run.state]);

  return { run, start, cancel };
}

async function readResult(executionId: string, setRun: (next: (before: Run) => Run) => void): Promise<void> {
  try {
    const { result_data: result } = await executionApi.get(executionId);
    setRun((before) => (before.state?.executionId === executionId ? { ...before, result } : before));
  } catch {
    // The link to the execution stands beside it; the result is there.
  }
}
