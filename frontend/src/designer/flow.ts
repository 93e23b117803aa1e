/** The document as the canvas draws it: what did not change stays the same object, so that it is not drawn again. */

import { type Edge, type Connection as FlowConnection, MarkerType } from "@xyflow/react";
import type { BlockState } from "../live/progress";
import type { Block, Connection, Design } from "../types";
import { agentHandle, type BlockFlowNode, WHOLE_BLOCK } from "./BlockNode";
import { agentsOf, blockById, patternInfo, positionOf } from "./document";
import { BLOCK_WIDTH, heightOf } from "./layout";

export interface Shown {
  design: Design;
  selected: readonly string[];
  problems: ReadonlyMap<string, number>;
  states: ReadonlyMap<string, BlockState>;
}

export function nextNodes(before: readonly BlockFlowNode[], shown: Shown): BlockFlowNode[] {
  const earlier = new Map(before.map((node) => [node.id, node]));
  const selected = new Set(shown.selected);
  return shown.design.blocks.map((block) => {
    const node = earlier.get(block.id);
    const problems = shown.problems.get(block.id) ?? 0;
    const state = shown.states.get(block.id);
    const isSelected = selected.has(block.id);
    const hasSameData = node?.data.block === block && node.data.problems === problems && node.data.state === state;
    const position = positionOf(block);
    const isInPlace = node?.position.x === position.x && node.position.y === position.y;
    if (node && hasSameData && isInPlace && (node.selected ?? false) === isSelected) return node;
    return {
      ...(node ?? newNode(block)),
      position: isInPlace ? node.position : position,
      selected: isSelected,
      data: hasSameData ? node.data : { block, problems, state },
      ariaLabel: nameOf(block, problems, state),
    };
  });
}

function newNode(block: Block): BlockFlowNode {
  return {
    id: block.id,
    type: "block",
    position: positionOf(block),
    // Until it was measured; those that are not in view never are.
    initialWidth: BLOCK_WIDTH,
    initialHeight: heightOf(agentsOf(block).length),
    data: { block, problems: 0, state: undefined },
  };
}

function nameOf(block: Block, problems: number, state: BlockState | undefined): string {
  const parts = [block.data.label || "Block without a label", patternInfo(block.type).title];
  if (problems) parts.push(problems === 1 ? "1 problem" : `${problems} problems`);
  if (state) parts.push(state);
  return parts.join(", ");
}

export function edgesOf(design: Design, selected: readonly string[]): Edge[] {
  const chosen = new Set(selected);
  return design.connections.map((one) => edgeOf(design, one, chosen.has(one.id)));
}

function edgeOf(design: Design, one: Connection, selected: boolean): Edge {
  const [source, target] = [blockById(design, one.source), blockById(design, one.target)];
  return {
    id: one.id,
    source: one.source,
    target: one.target,
    sourceHandle: handleOf(source, one.source_agent),
    targetHandle: handleOf(target, one.target_agent),
    selected,
    ariaLabel: `Connection from ${source?.data.label ?? one.source} to ${target?.data.label ?? one.target}`,
    markerEnd: { type: MarkerType.ArrowClosed, width: 18, height: 18 },
  };
}

function handleOf(block: Block | undefined, agent: string | null | undefined): string {
  const isThere = agent && block && agentsOf(block).some((one) => one.id === agent);
  return isThere ? agentHandle(agent) : WHOLE_BLOCK;
}

/** A line that was drawn, as ends of a connection. */
export function endsOf(drawn: FlowConnection): Omit<Connection, "id"> {
  const ends: Omit<Connection, "id"> = { source: drawn.source, target: drawn.target };
  const sourceAgent = agentOf(drawn.sourceHandle);
  const targetAgent = agentOf(drawn.targetHandle);
  if (sourceAgent) ends.source_agent = sourceAgent;
  if (targetAgent) ends.target_agent = targetAgent;
  return ends;
}

function agentOf(handle: string | null): string | undefined {
  return handle?.startsWith("agent:") ? handle.slice("agent:".length) : undefined;
}
