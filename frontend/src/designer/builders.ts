/** Designs for tests. */

import type { Design } from "../types";
import { type Action, type DesignerState, reduce, startingState } from "./reducer";

export function emptyDesign(): Design {
  return { format: 1, name: "Test", blocks: [], connections: [] };
}

export function stateAfter(...actions: Action[]): DesignerState {
  return actions.reduce(reduce, startingState(emptyDesign()));
}

/** Two blocks, the second after the first and naming it. */
export function twoBlocks(): DesignerState {
  return stateAfter(
    { type: "add", pattern: "sequential", at: { x: 0, y: 0 } },
    { type: "add", pattern: "routing", at: { x: 10, y: 300 } },
    { type: "connect", ends: { source: "sequential", target: "routing", source_agent: "writer" } },
    { type: "patchBlock", id: "routing", patch: { task: "Sort {{blocks.sequential.output}}." } },
  );
}
