import {
  applyNodeChanges,
  Background,
  type EdgeChange,
  MiniMap,
  type NodeChange,
  ReactFlow,
  useReactFlow,
  useStore,
} from "@xyflow/react";
import { type DragEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { BlockState } from "../live/progress";
import { type BlockFlowNode, BlockNode } from "./BlockNode";
import { useDesigner } from "./context";
import type { Point } from "./document";
import { edgesOf, endsOf, nextNodes } from "./flow";
import { countByBlock } from "./problems";
import type { Selection } from "./reducer";

const NODE_TYPES = { block: BlockNode };
const FIT = { padding: 0.15, maxZoom: 1, minZoom: 0.1 };
/** Below this scale agents cannot be read, and so are not painted. */
const READABLE = 0.4;
export const PATTERN_TYPE = "application/x-orchestration-pattern";

interface Props {
  selection: Selection;
  states: ReadonlyMap<string, BlockState>;
}

export function Canvas({ selection, states }: Props) {
  const { design, problems, dispatch, page } = useDesigner();
  const counts = useMemo(() => countByBlock(design, problems), [design, problems]);
  const [nodes, setNodes] = useState<BlockFlowNode[]>(() =>
    nextNodes([], { design, selected: selection.blocks, problems: counts, states }),
  );
  useEffect(() => {
    setNodes((before) => nextNodes(before, { design, selected: selection.blocks, problems: counts, states }));
  }, [design, selection.blocks, counts, states]);
  const edges = useMemo(() => edgesOf(design, selection.connections), [design, selection.connections]);
  const isDragging = useRef(false);

  const changeNodes = useCallback(
    (changes: NodeChange<BlockFlowNode>[]) => {
      const drawn = changes.filter((change) => change.type !== "select" && change.type !== "remove");
      if (drawn.length) setNodes((before) => applyNodeChanges(drawn, before));
      const marks = marksOf(changes);
      if (marks.size) dispatch({ type: "mark", blocks: marks });
      const places = endedMoves(changes);
      if (places.size && page.may.change) {
        const key = isDragging.current ? undefined : `move:${[...places.keys()].join()}`;
        dispatch({ type: "move", places, ...(key && { key }) });
      }
    },
    [dispatch, page.may.change],
  );
  const changeEdges = useCallback(
    (changes: EdgeChange[]) => {
      const marks = marksOf(changes);
      if (marks.size) dispatch({ type: "mark", connections: marks });
    },
    [dispatch],
  );
  const { screenToFlowPosition } = useReactFlow();
  const isFar = useStore(({ transform }) => transform[2] < READABLE);
  const drop = (event: DragEvent) => {
    const pattern = event.dataTransfer.getData(PATTERN_TYPE);
    if (!pattern) return;
    event.preventDefault();
    dispatch({ type: "add", pattern, at: screenToFlowPosition({ x: event.clientX, y: event.clientY }) });
  };

  return (
    <section className="designer-canvas" data-far={isFar || undefined} aria-label="Canvas">
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        onNodesChange={changeNodes}
        onEdgesChange={changeEdges}
        onConnect={(drawn) => dispatch({ type: "connect", ends: endsOf(drawn) })}
        isValidConnection={({ source, target }) => source !== target}
        onNodeDragStart={() => {
          isDragging.current = true;
        }}
        onNodeDragStop={() => {
          isDragging.current = false;
        }}
        onDrop={drop}
        onDragOver={(event) => event.preventDefault()}
        nodesDraggable={page.may.change}
        nodesConnectable={page.may.change}
        deleteKeyCode={null}
        multiSelectionKeyCode={["Shift", "Control", "Meta"]}
        onlyRenderVisibleElements
        elevateNodesOnSelect={false}
        minZoom={0.05}
        maxZoom={2}
        snapToGrid
        snapGrid={[10, 10]}
        fitView
        fitViewOptions={FIT}
        colorMode="system"
        aria-label="Blocks and their connections"
      >
        {!isFar && <Background gap={20} />}
        <MiniMap pannable zoomable ariaLabel="Overview of the design" nodeColor="var(--line-strong)" />
      </ReactFlow>
      {design.blocks.length === 0 && (
        <p className="canvas-empty soft">
          Nothing is drawn yet. Choose a pattern: click it, or drag it here. Then give its agents something to do.
        </p>
      )}
    </section>
  );
}

function marksOf(changes: readonly { type: string }[]): Map<string, boolean> {
  const marks = new Map<string, boolean>();
  for (const change of changes) {
    if (change.type !== "select") continue;
    const { id, selected } = change as unknown as { id: string; selected: boolean };
    marks.set(id, selected);
  }
  return marks;
}

/** Where blocks came to rest, by mouse or by arrow keys. */
function endedMoves(changes: readonly NodeChange<BlockFlowNode>[]): Map<string, Point> {
  const places = new Map<string, Point>();
  for (const change of changes) {
    if (change.type === "position" && change.dragging === false && change.position) {
      places.set(change.id, { x: Math.round(change.position.x), y: Math.round(change.position.y) });
    }
  }
  return places;
}
