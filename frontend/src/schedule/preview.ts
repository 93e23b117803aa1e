/** What a schedule would do, asked of the engine that fires it, and shown: the sentence and the next runs. */

import { api } from "../client";
import { make } from "../elements/make";
import type { FieldProblem } from "../problem";

export interface Run {
  utc: string;
  local: string;
  offset: string;
  dst: "gap_shifted" | "repeated" | null;
}
export interface Preview {
  runs: Run[];
  words: string | null;
  problems: FieldProblem[];
}
export type Times = Record<string, string | number | null>;

const DST_WORDS = {
  gap_shifted: "clocks go forward: right after the gap",
  repeated: "clocks go back: this time comes twice, it runs once",
};
const WEEKDAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", timeZone: "UTC" });

export const askPreview = (times: Times, signal: AbortSignal) =>
  api.post<Preview>("/api/schedules/preview", { ...times, count: 10 }, { signal });

/** A line a run: weekday, date and time as clocks in the zone show them, the offset, and what the clocks do. */
export function showRuns(runs: Run[]): HTMLElement {
  return make("ol", { class: "runs" }, ...runs.map(showRun));
}

function showRun(run: Run): HTMLElement {
  const [date = "", clock = ""] = run.local.split("T");
  const time = clock.replace(/^(\d\d:\d\d)(:00(\.0+)?)$/, "$1");
  return make(
    "li",
    {},
    make("time", { datetime: run.utc }, `${WEEKDAY.format(new Date(`${date}T00:00Z`))} ${date} ${time}`),
    " ",
    make("span", { class: "soft" }, run.offset),
    run.dst && make("span", { class: "dst small" }, DST_WORDS[run.dst]),
  );
}
