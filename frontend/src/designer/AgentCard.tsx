import { useEffect, useMemo, useState } from "react";
import type { Json } from "../client";
import type { Agent, Block, Role } from "../types";
import { useDesigner } from "./context";
import { agentsOf, ROLES } from "./document";
import type { Patch } from "./edits";
import { ChoiceField, JsonField, SchemaForm, TextField } from "./fields";
import type { TemplateName } from "./names";
import { messageAt, type PlacedProblem, problemsBelow } from "./problems";
import { TemplateEditor } from "./TemplateEditor";

const NO_SETTINGS: Json = {};
const ROLE_CHOICES = ROLES.map((role) => [role, role] as const);

interface Props {
  block: Block;
  agent: Agent;
  index: number;
  names: readonly TemplateName[];
  problems: readonly PlacedProblem[];
}

/** One agent of a block, folded until it is opened. */
export function AgentCard({ block, agent, index, names, problems }: Props) {
  const { page, focus, dispatch } = useDesigner();
  const path = `/data/agents/${index}`;
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    if (focus && (focus.path === path || focus.path.startsWith(`${path}/`))) setOpen(true);
  }, [focus, path]);
  const own = problemsBelow(problems, path);
  return (
    <details className="agent-card" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary data-path={path}>
        <strong>{agent.name || "(no name)"}</strong>
        <span className="soft small">{agent.role ?? "worker"}</span>
        {own.length > 0 && <span className="block-problems push">⚠ {own.length}</span>}
      </summary>
      {isOpen && <AgentFields {...{ block, agent, index, names, problems }} />}
      {isOpen && page.may.change && (
        <div className="row">
          <button
            type="button"
            className="button quiet small"
            disabled={index === 0}
            onClick={() => dispatch({ type: "moveAgent", block: block.id, index, by: -1 })}
          >
            ↑ Earlier
          </button>
          <button
            type="button"
            className="button quiet small"
            disabled={index === agentsOf(block).length - 1}
            onClick={() => dispatch({ type: "moveAgent", block: block.id, index, by: 1 })}
          >
            ↓ Later
          </button>
          <button
            type="button"
            className="button quiet small push"
            onClick={() => dispatch({ type: "removeAgent", block: block.id, index })}
          >
            Remove {agent.name || "this agent"}
          </button>
        </div>
      )}
    </details>
  );
}

function AgentFields({ block, agent, index, names, problems }: Props) {
  const { page, dispatch } = useDesigner();
  const path = `/data/agents/${index}`;
  const change = (patch: Patch<Agent>, field: string) =>
    dispatch({ type: "patchAgent", block: block.id, index, patch, key: `${field}:${block.id}/${agent.id}` });
  const at = (field: string) => messageAt(problems, `${path}/${field}`);
  const settingsProblems = useMemo(() => problemsBelow(problems, `${path}/settings`), [problems, path]);
  const schemaProblem = problemsBelow(problems, `${path}/output_schema`)[0]?.message;
  return (
    <div className="stack">
      <TextField
        label="Name"
        path={`${path}/name`}
        value={agent.name}
        problem={at("name")}
        onChange={(name) => change({ name }, "name")}
      />
      <ChoiceField
        label="Role"
        path={`${path}/role`}
        value={agent.role ?? "worker"}
        problem={at("role")}
        choices={ROLE_CHOICES}
        onChange={(role) => change({ role: role as Role }, "role")}
      />
      <TextField
        label="Model"
        hint={`Empty: ${page.default_model}. Accounts: ${page.accounts.join(", ")}.`}
        path={`${path}/model`}
        value={agent.model ?? ""}
        placeholder={page.default_model}
        list="designer-models"
        problem={at("model")}
        onChange={(model) => change({ model: model.trim() || undefined }, "model")}
      />
      <TemplateEditor
        label="System prompt"
        path={`${path}/system_prompt`}
        value={agent.system_prompt ?? ""}
        names={names}
        problem={at("system_prompt")}
        disabled={!page.may.change}
        onChange={(system_prompt) => change({ system_prompt }, "prompt")}
      />
      <details>
        <summary>How the model is called</summary>
        <SchemaForm
          schema={page.settings_schema}
          value={agent.settings ?? NO_SETTINGS}
          path={`${path}/settings`}
          problems={settingsProblems}
          onChange={(settings) => change({ settings: settings as Record<string, Json> }, "settings")}
        />
      </details>
      <details>
        <summary>Structured output{agent.output_schema ? " (on)" : ""}</summary>
        <JsonField
          label="Output schema"
          hint="A JSON Schema; the agent's answer has to fit it. Empty: text."
          path={`${path}/output_schema`}
          value={agent.output_schema}
          problem={schemaProblem}
          onChange={(output_schema) => change({ output_schema }, "schema")}
        />
      </details>
    </div>
  );
}
