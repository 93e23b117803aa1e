import { Handle, type Node, type NodeProps, Position } from "@xyflow/react";
import { memo } from "react";
import type { BlockState } from "../live/progress";
import type { Block } from "../types";
import { agentsOf, patternInfo } from "./document";
import { Icon } from "./Icon";

export interface BlockNodeData extends Record<string, unknown> {
  block: Block;
  problems: number;
  state: BlockState | undefined;
}

export type BlockFlowNode = Node<BlockNodeData, "block">;

export const WHOLE_BLOCK = "block";
export const agentHandle = (id: string) => `agent:${id}`;

/** A block on the canvas: its label, its agents, and what is wrong with it or what it does just now. */
export const BlockNode = memo(function BlockNode({ data }: NodeProps<BlockFlowNode>) {
  const { block, problems, state } = data;
  const info = patternInfo(block.type);
  return (
    <div className="block-node" data-state={state} data-problems={problems > 0 || undefined}>
      <div className="block-head">
        <Handle type="target" position={Position.Left} id={WHOLE_BLOCK} />
        <span className="block-mark">
          <Icon name={block.type} />
        </span>
        <span className="block-words">
          <strong>{block.data.label || "(no label)"}</strong>
          <span className="block-pattern">{info.title}</span>
        </span>
        {problems > 0 && (
          <span className="block-problems">
            ⚠ {problems}
            <span className="visually-hidden">{problems === 1 ? " problem" : " problems"}</span>
          </span>
        )}
        <Handle type="source" position={Position.Right} id={WHOLE_BLOCK} />
      </div>
      {state && (
        <div className="block-state">
          <span className="state" data-state={state}>
            {state}
          </span>
        </div>
      )}
      <ul className="block-agents">
        {agentsOf(block).map((agent) => (
          <li key={agent.id}>
            <Handle type="target" position={Position.Left} id={agentHandle(agent.id)} className="agent-handle" />
            <span className="block-agent">{agent.name || "(no name)"}</span>
            <span className="block-role">{agent.role ?? "worker"}</span>
            <Handle type="source" position={Position.Right} id={agentHandle(agent.id)} className="agent-handle" />
          </li>
        ))}
      </ul>
    </div>
  );
});
