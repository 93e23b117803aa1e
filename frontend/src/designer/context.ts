/** What every part of the designer can reach. */

import { createContext, type Dispatch, useContext } from "react";
import type { Design } from "../types";
import type { PageData } from "./page";
import type { PlacedProblem } from "./problems";
import type { Action } from "./reducer";

/** A field that is to have the cursor: its path, and a number that grows, so that asking twice works twice. */
export interface Focus {
  path: string;
  number: number;
}

export interface Designer {
  page: PageData;
  design: Design;
  /** The ETag of what is saved. */
  revision: string;
  problems: readonly PlacedProblem[];
  focus: Focus | undefined;
  dispatch: Dispatch<Action>;
}

export const DesignerContext = createContext<Designer | undefined>(undefined);

export function useDesigner(): Designer {
  const found = useContext(DesignerContext);
  if (!found) throw new Error("This part stands outside of the designer.");
  return found;
}
