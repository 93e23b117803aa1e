import { useMemo } from "react";
import type { Json } from "../client";
import type { Block } from "../types";
import { AgentCard } from "./AgentCard";
import { Connections } from "./Connections";
import { useDesigner } from "./context";
import { agentsOf, patternInfo } from "./document";
import { Editable, SchemaForm, TextField } from "./fields";
import { Icon } from "./Icon";
import { namesFor } from "./names";
import { messageAt, problemsBelow } from "./problems";
import { TemplateEditor } from "./TemplateEditor";

const NO_CONFIG: Json = {};

/** All of one block. */
export function BlockPanel({ block }: { block: Block }) {
  const { page, design, problems, dispatch } = useDesigner();
  const { id } = block;
  const own = useMemo(() => problems.filter((one) => one.block === id), [problems, id]);
  const names = useMemo(() => namesFor(design, id), [design, id]);
  const configProblems = useMemo(() => problemsBelow(own, "/data/config"), [own]);
  const info = patternInfo(block.type);
  return (
    <div className="stack">
      <h2 className="panel-title">
        <Icon name={block.type} /> {info.title} block
      </h2>
      <Editable title="The block">
        <TextField
          label="Label"
          path="/data/label"
          value={block.data.label}
          problem={messageAt(own, "/data/label")}
          onChange={(label) => dispatch({ type: "patchBlock", id, patch: { label }, key: `label:${id}` })}
        />
        <TemplateEditor
          key={`${id}/task`}
          label="Task"
          hint="Type {{ for the names that can stand here."
          path="/data/task"
          value={block.data.task ?? ""}
          names={names}
          problem={messageAt(own, "/data/task")}
          disabled={!page.may.change}
          onChange={(task) => dispatch({ type: "patchBlock", id, patch: { task }, key: `task:${id}` })}
        />
        <section className="stack" aria-label="Agents" data-path="/data/agents">
          <h3>Agents</h3>
          <p className="error-line">{messageAt(own, "/data/agents")}</p>
          {agentsOf(block).map((agent, index) => (
            <AgentCard key={agent.id} block={block} agent={agent} index={index} names={names} problems={own} />
          ))}
          {page.may.change && (
            <button type="button" className="button small" onClick={() => dispatch({ type: "addAgent", block: id })}>
              Add an agent
            </button>
          )}
        </section>
        <section className="stack" aria-label={`Settings of the ${info.title.toLowerCase()} pattern`}>
          <h3>Settings</h3>
          <SchemaForm
            key={`${id}/config`}
            schema={page.patterns[block.type] ?? NO_CONFIG}
            value={block.data.config ?? NO_CONFIG}
            path="/data/config"
            problems={configProblems}
            onChange={(config) =>
              dispatch({
                type: "patchBlock",
                id,
                patch: { config: config as Record<string, Json> },
                key: `config:${id}`,
              })
            }
          />
        </section>
      </Editable>
      <Connections block={block} />
      <dl className="facts small">
        <dt>Id</dt>
        <dd>
          <code>{id}</code>
        </dd>
        <dt>Output</dt>
        <dd>
          <code>{`{{blocks.${id}.output}}`}</code>
        </dd>
      </dl>
    </div>
  );
}
