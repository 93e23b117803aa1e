import { useMemo, useState } from "react";
import type { Json } from "../client";
import { SchemaForm as Form } from "../elements/schema_form";
import type { Block } from "../types";
import { useDesigner } from "./context";
import { JsonField, SchemaForm } from "./fields";
import { exampleOf, inputToTry } from "./names";
import { asText, isOver, type RunState } from "./run_state";
import type { Run } from "./use_run";

interface Props {
  run: Run;
  block: Block | undefined;
  inputs: Inputs;
  start(input: Json, blockId?: string): Promise<void>;
  cancel(): Promise<void>;
}

/** What was typed as input, of the whole and of single blocks: it outlives the panel. */
export type Inputs = Map<string, Json>;

const WHOLE = "";

export function RunPanel({ run, block, inputs, start, cancel }: Props) {
  const { design, problems } = useDesigner();
  const [onlyBlock, setOnlyBlock] = useState(false);
  const one = onlyBlock ? block : undefined;
  const key = one?.id ?? WHOLE;
  const schema = one ? undefined : (design.input_schema ?? undefined);
  const first = useMemo(() => {
    if (one) return inputToTry(design, one.id);
    return schema ? exampleOf(schema, Form.startingValue(schema)) : {};
  }, [design, one, schema]);
  const [, redraw] = useState(0);
  const value = inputs.get(key) ?? first;
  const change = (next: Json | undefined) => {
    inputs.set(key, next ?? {});
    redraw((count) => count + 1);
  };
  const isRunning = run.isStarting || (run.state !== undefined && !isOver(run.state));
  const blocking = one ? problems.filter((problem) => problem.block === one.id) : problems;
  const below = (run.refusal?.problems ?? [])
    .filter(({ pointer }) => pointer.startsWith("/input_data"))
    .map((problem) => ({ ...problem, pointer: problem.pointer.slice("/input_data".length) }));
  return (
    <div className="stack">
      <h2 className="panel-title">Run</h2>
      {block && (
        <label className="check">
          <input type="checkbox" checked={onlyBlock} onChange={(event) => setOnlyBlock(event.target.checked)} />
          Only the block “{block.data.label}”
        </label>
      )}
      {schema ? (
        <SchemaForm key={key} schema={schema} value={value} path="/input" problems={below} onChange={change} />
      ) : (
        <JsonField
          key={key}
          label="Input"
          hint={one ? "What the block is given, and under “blocks” what its texts name of others." : "A JSON object."}
          path="/input"
          value={value}
          problem={below.map(({ message }) => message).join(" ") || undefined}
          onChange={change}
        />
      )}
      {blocking.length > 0 && (
        <p className="notice warn">It has problems, and so cannot run yet: they are listed in the margin.</p>
      )}
      <div className="row">
        <button
          type="button"
          className="button primary"
          disabled={isRunning || design.blocks.length === 0}
          aria-busy={run.isStarting}
          onClick={() => void start(value, one?.id)}
        >
          {one ? "Run this block" : "Run the draft"}
        </button>
        {run.state && isRunning && (
          <button type="button" className="button" onClick={() => void cancel()}>
            Cancel
          </button>
        )}
      </div>
      {run.refusal && (
        <div className="notice bad" role="alert">
          <div>
            <p>{run.refusal.sentence}</p>
            <ul className="plain-list small">
              {run.refusal.problems.map((problem) => (
                <li key={problem.pointer + problem.code}>{problem.message}</li>
              ))}
            </ul>
          </div>
        </div>
      )}
      {run.state && <Progress state={run.state} run={run} />}
    </div>
  );
}

function Progress({ state, run }: { state: RunState; run: Run }) {
  const { design } = useDesigner();
  const label = (id: string) => design.blocks.find((block) => block.id === id)?.data.label ?? id;
  return (
    <section className="stack" aria-label="Progress">
      <div className="row">
        <span className="state" data-state={state.status} role="status">
          {state.status}
        </span>
        <a className="push small" href={`/executions/${state.executionId}`}>
          The whole execution
        </a>
      </div>
      {run.feed && run.feed.state !== "live" && run.feed.state !== "ended" && (
        <p className="notice warn small">{run.feed.sentence}</p>
      )}
      {state.error && <p className="notice bad">{state.error}</p>}
      {run.result !== undefined && <Result result={run.result} />}
      <ol className="run-texts">
        {[...state.texts].map(([key, text]) => (
          <li key={key}>
            <h3 className="small">
              {label(text.block)} · {text.agent} {!text.isDone && <span className="soft">is writing…</span>}
            </h3>
            <pre>{text.text}</pre>
          </li>
        ))}
      </ol>
      {state.decisions.length > 0 && (
        <details>
          <summary>Decisions ({state.decisions.length})</summary>
          <ul className="plain-list small">
            {state.decisions.map((decision, place) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the list only grows
              <li key={place}>
                <strong>{label(decision.block)}</strong> {decision.words}
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

function Result({ result }: { result: Json }) {
  const output = typeof result === "object" && result !== null && !Array.isArray(result) ? result.output : undefined;
  return (
    <section aria-label="Result" className="stack">
      <h3>Result</h3>
      <pre>{asText(output ?? null)}</pre>
    </section>
  );
}
