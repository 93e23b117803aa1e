import { useState } from "react";
import type { Block, Connection } from "../types";
import { useDesigner } from "./context";
import { agentsOf, blockById } from "./document";
import { ChoiceField, Editable } from "./fields";

/** What leads into a block and out of it; the way to connect blocks without a mouse. */
export function Connections({ block }: { block: Block }) {
  const { design, page, dispatch } = useDesigner();
  const near = design.connections.filter((one) => one.source === block.id || one.target === block.id);
  const others = design.blocks.filter((one) => one.id !== block.id);
  const [target, setTarget] = useState("");
  const chosen = others.some((one) => one.id === target) ? target : (others[0]?.id ?? "");
  const label = (id: string) => blockById(design, id)?.data.label ?? id;
  return (
    <section className="stack" aria-label="Connections">
      <h3>Connections</h3>
      {near.length === 0 && <p className="soft small">None yet.</p>}
      <ul className="plain-list">
        {near.map((one) => (
          <li key={one.id} className="row">
            <button
              type="button"
              className="link-button"
              onClick={() => dispatch({ type: "select", selection: { connections: [one.id] } })}
            >
              {one.source === block.id ? `to ${label(one.target)}` : `from ${label(one.source)}`}
            </button>
            {page.may.change && (
              <button
                type="button"
                className="button quiet small push"
                aria-label={`Remove the connection from ${label(one.source)} to ${label(one.target)}`}
                onClick={() => dispatch({ type: "delete", blocks: [], connections: [one.id] })}
              >
                ✕
              </button>
            )}
          </li>
        ))}
      </ul>
      {page.may.change && others.length > 0 && (
        <div className="connect-row">
          <ChoiceField
            label="Connect to"
            path="/connect"
            value={chosen}
            choices={others.map((one) => [one.id, one.data.label || one.id] as const)}
            onChange={setTarget}
          />
          <button
            type="button"
            className="button small"
            onClick={() => dispatch({ type: "connect", ends: { source: block.id, target: chosen } })}
          >
            Connect
          </button>
        </div>
      )}
    </section>
  );
}

function BlockLink({ id, block }: { id: string; block: Block | undefined }) {
  const { dispatch } = useDesigner();
  const select = () => dispatch({ type: "select", selection: { blocks: [id] } });
  if (!block) return <strong>{id}</strong>;
  return (
    <button type="button" className="link-button" onClick={select}>
      {block.data.label || id}
    </button>
  );
}

/** One connection: from which agent, to which agent. */
export function ConnectionPanel({ connection }: { connection: Connection }) {
  const { design, page, problems, dispatch } = useDesigner();
  const [source, target] = [blockById(design, connection.source), blockById(design, connection.target)];
  const own = problems.filter((one) => one.connection === connection.id);
  const patch = (end: "source_agent" | "target_agent", agent: string) =>
    dispatch({ type: "patchConnection", id: connection.id, patch: { [end]: agent || undefined } });
  return (
    <div className="stack">
      <h2 className="panel-title">Connection</h2>
      <p>
        From <BlockLink id={connection.source} block={source} /> to <BlockLink id={connection.target} block={target} />.
      </p>
      {own.map((problem) => (
        <p key={problem.path + problem.code} className="notice bad">
          {problem.message}
        </p>
      ))}
      <Editable title="The connection">
        <ChoiceField
          label="What it carries"
          path="/source_agent"
          value={connection.source_agent ?? ""}
          choices={[["", "What the whole block delivers"], ...agentChoices(source, "What", "says")]}
          onChange={(agent) => patch("source_agent", agent)}
        />
        <ChoiceField
          label="Whom it reaches"
          path="/target_agent"
          value={connection.target_agent ?? ""}
          choices={[["", "All agents of the block"], ...agentChoices(target, "Only", "")]}
          onChange={(agent) => patch("target_agent", agent)}
        />
      </Editable>
      {page.may.change && (
        <button
          type="button"
          className="button danger small"
          onClick={() => dispatch({ type: "delete", blocks: [], connections: [connection.id] })}
        >
          Remove this connection
        </button>
      )}
    </div>
  );
}

function agentChoices(block: Block | undefined, before: string, after: string): (readonly [string, string])[] {
  const agents = block ? agentsOf(block) : [];
  return agents.map((agent) => [agent.id, `${before} ${agent.name} ${after}`.trim()] as const);
}
