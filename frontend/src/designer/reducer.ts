/** The designer's state: the document, what is selected in it, and what can be undone. Pure. */

import type { Agent, BlockData, Connection, Design } from "../types";
import { copy, type Fragment, paste } from "./clipboard";
import { makeBlock, type Point } from "./document";
import * as edits from "./edits";
import { type Alignment, alignedPlaces, freePlace, tidyPlaces } from "./layout";

export interface Selection {
  blocks: readonly string[];
  connections: readonly string[];
}

export interface DesignerState {
  design: Design;
  selection: Selection;
  past: readonly Design[];
  future: readonly Design[];
  /** What the last change was to: typing on in one field is one step to undo. */
  lastKey: string | undefined;
}

/** Whether each is selected from now on; the others stay as they are. */
export type Marks = ReadonlyMap<string, boolean>;

export type Action =
  | { type: "add"; pattern: string; at?: Point }
  | { type: "connect"; ends: Omit<Connection, "id"> }
  | { type: "patchDesign"; patch: edits.Patch<Design>; key?: string }
  | { type: "patchBlock"; id: string; patch: edits.Patch<BlockData>; key?: string }
  | { type: "patchConnection"; id: string; patch: edits.Patch<Connection> }
  | { type: "addAgent"; block: string }
  | { type: "patchAgent"; block: string; index: number; patch: edits.Patch<Agent>; key?: string }
  | { type: "moveAgent"; block: string; index: number; by: -1 | 1 }
  | { type: "removeAgent"; block: string; index: number }
  | { type: "move"; places: ReadonlyMap<string, Point>; key?: string }
  | { type: "delete"; blocks?: readonly string[]; connections?: readonly string[] }
  | { type: "paste"; fragment: Fragment }
  | { type: "duplicate" }
  | { type: "tidy" }
  | { type: "align"; to: Alignment }
  | { type: "replace"; design: Design }
  | { type: "select"; selection: Partial<Selection> }
  | { type: "mark"; blocks?: Marks; connections?: Marks }
  | { type: "selectAll" }
  | { type: "undo" }
  | { type: "redo" };

const NOTHING: Selection = { blocks: [], connections: [] };
const MOST_STEPS = 200;

export function startingState(design: Design): DesignerState {
  return { design, selection: NOTHING, past: [], future: [], lastKey: undefined };
}

export function reduce(state: DesignerState, action: Action): DesignerState {
  switch (action.type) {
    case "undo":
      return undo(state);
    case "redo":
      return redo(state);
    case "select":
      return select(state, { ...NOTHING, ...action.selection });
    case "mark":
      return select(state, {
        blocks: marked(state.selection.blocks, action.blocks),
        connections: marked(state.selection.connections, action.connections),
      });
    case "selectAll":
      return select(state, { blocks: state.design.blocks.map(({ id }) => id), connections: [] });
    case "add":
      return add(state, action.pattern, action.at);
    case "paste":
      return pasteInto(state, action.fragment);
    case "duplicate":
      return pasteInto(state, copy(state.design, state.selection.blocks));
    default:
      return record(state, change(state, action), "key" in action ? action.key : undefined);
  }
}

type Change = Exclude<
  Action,
  { type: "undo" | "redo" | "select" | "mark" | "selectAll" | "add" | "paste" | "duplicate" }
>;

function change({ design, selection }: DesignerState, action: Change): Design {
  switch (action.type) {
    case "connect":
      return edits.connect(design, action.ends);
    case "patchDesign":
      return edits.patched(design, action.patch);
    case "patchBlock":
      return edits.patchBlock(design, action.id, action.patch);
    case "patchConnection":
      return edits.patchConnection(design, action.id, action.patch);
    case "addAgent":
      return edits.addAgent(design, action.block);
    case "patchAgent":
      return edits.patchAgent(design, action.block, action.index, action.patch);
    case "moveAgent":
      return edits.moveAgent(design, action.block, action.index, action.by);
    case "removeAgent":
      return edits.removeAgent(design, action.block, action.index);
    case "move":
      return edits.moveBlocks(design, action.places);
    case "delete":
      return removeFrom(design, action.blocks ?? selection.blocks, action.connections ?? selection.connections);
    case "tidy":
      return edits.moveBlocks(design, tidyPlaces(design));
    case "align":
      return edits.moveBlocks(design, alignedPlaces(design, selection.blocks, action.to));
    case "replace":
      return action.design;
  }
}

function removeFrom(design: Design, blocks: readonly string[], connections: readonly string[]): Design {
  return blocks.length || connections.length ? edits.remove(design, blocks, connections) : design;
}

function add(state: DesignerState, pattern: string, at?: Point): DesignerState {
  const block = makeBlock(state.design, pattern, at ?? freePlace(state.design));
  const design = { ...state.design, blocks: [...state.design.blocks, block] };
  return { ...record(state, design), selection: { blocks: [block.id], connections: [] } };
}

function pasteInto(state: DesignerState, fragment: Fragment): DesignerState {
  if (!fragment.blocks.length) return state;
  const [design, blocks] = paste(state.design, fragment);
  return { ...record(state, design), selection: { blocks, connections: [] } };
}

/** The state after a change. Changes in a row under one key are undone together. */
function record(state: DesignerState, design: Design, key?: string): DesignerState {
  if (design === state.design) return state;
  const goesOn = key !== undefined && key === state.lastKey;
  const past = goesOn ? state.past : [...state.past, state.design].slice(-MOST_STEPS);
  return { design, selection: existing(design, state.selection), past, future: [], lastKey: key };
}

function undo(state: DesignerState): DesignerState {
  const design = state.past.at(-1);
  if (!design) return state;
  return {
    design,
    selection: existing(design, state.selection),
    past: state.past.slice(0, -1),
    future: [state.design, ...state.future],
    lastKey: undefined,
  };
}

function redo(state: DesignerState): DesignerState {
  const [design, ...future] = state.future;
  if (!design) return state;
  return {
    design,
    selection: existing(design, state.selection),
    past: [...state.past, state.design],
    future,
    lastKey: undefined,
  };
}

function select(state: DesignerState, selection: Selection): DesignerState {
  const same = (one: readonly string[], other: readonly string[]) =>
    one.length === other.length && one.every((id) => other.includes(id));
  const { blocks, connections } = state.selection;
  if (same(blocks, selection.blocks) && same(connections, selection.connections)) return state;
  return { ...state, selection, lastKey: undefined };
}

function marked(selected: readonly string[], marks: Marks = new Map()): string[] {
  const on = [...marks].filter(([, isOn]) => isOn).map(([id]) => id);
  return [...selected.filter((id) => !marks.has(id)), ...on];
}

/** Of what is selected, what is still there. */
function existing(design: Design, selection: Selection): Selection {
  const blocks = new Set(design.blocks.map(({ id }) => id));
  const connections = new Set(design.connections.map(({ id }) => id));
  const kept = {
    blocks: selection.blocks.filter((id) => blocks.has(id)),
    connections: selection.connections.filter((id) => connections.has(id)),
  };
  const isSame =
    kept.blocks.length === selection.blocks.length && kept.connections.length === selection.connections.length;
  return isSame ? selection : kept;
}
