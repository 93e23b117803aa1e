/** What came of an execution: its output, or why there is none and what to do. */

import type { Json } from "../client";
import type { Execution } from "../types";
import "./json_view";
import { make } from "./make";

export function resultOf(execution: Execution): HTMLElement[] {
  if (execution.status !== "completed") return [reasonOf(execution)];
  const view = make("json-view", { name: `result-${execution.id}` });
  view.show(outputOf(execution.result_data ?? null));
  return [make("h2", {}, "Result"), view];
}

function reasonOf({ status, error, error_code, reason }: Execution): HTMLElement {
  const said = typeof error === "string" && error ? error : reason || `The execution is ${status}.`;
  const kind = status === "failed" ? "bad" : "warn";
  const code = error_code && make("code", {}, error_code);
  return make("div", { class: `notice ${kind}`, role: "alert" }, make("span", {}, said, " ", code));
}

function outputOf(result: Json): Json {
  return typeof result === "object" && result !== null && !Array.isArray(result) ? (result.output ?? null) : result;
}
