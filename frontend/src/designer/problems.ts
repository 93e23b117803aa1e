/** Problems by the part of the design that they are about. Their pointers are into the document that was checked. */

import type { FieldProblem } from "../problem";
import type { Design } from "../types";

export interface PlacedProblem {
  block: string | undefined;
  connection: string | undefined;
  /** The pointer within that block or connection, or within the design: `/data/agents/0/name`. */
  path: string;
  code: string;
  message: string;
}

/** With ids for the places, so that a problem stays at its block while others come and go. */
export function placeProblems(checked: Design, problems: readonly FieldProblem[]): PlacedProblem[] {
  return problems.map(({ pointer, code, message }) => {
    const [, list, index, ...rest] = pointer.split("/");
    const path = `/${rest.join("/")}`;
    const block = list === "blocks" && index !== undefined ? checked.blocks[Number(index)]?.id : undefined;
    if (block !== undefined) return { block, connection: undefined, path, code, message };
    const connection =
      list === "connections" && index !== undefined ? checked.connections[Number(index)]?.id : undefined;
    if (connection !== undefined) return { block: undefined, connection, path, code, message };
    return { block: undefined, connection: undefined, path: pointer, code, message };
  });
}

/** How many problems each block has; those of a connection count at its target. */
export function countByBlock(design: Design, problems: readonly PlacedProblem[]): Map<string, number> {
  const targets = new Map(design.connections.map((one) => [one.id, one.target]));
  const counts = new Map<string, number>();
  for (const problem of problems) {
    const id = problem.block ?? targets.get(problem.connection ?? "");
    if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

/** Those at or below the path, with pointers that begin there. */
export function problemsBelow(problems: readonly PlacedProblem[], path: string): FieldProblem[] {
  return problems
    .filter((problem) => problem.path === path || problem.path.startsWith(`${path}/`))
    .map(({ path: pointer, code, message }) => ({ pointer: pointer.slice(path.length), code, message }));
}

export function messageAt(problems: readonly PlacedProblem[], path: string): string | undefined {
  const found = problems.filter((problem) => problem.path === path).map(({ message }) => message);
  return found.length ? found.join(" ") : undefined;
}
