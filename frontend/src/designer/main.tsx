/** The designer: reads what the server has put into the page, then the draft, and draws it. */

import "@xyflow/react/dist/style.css";
import "./canvas.css";
import "./designer.css";
import { createRoot } from "react-dom/client";
import { designApi } from "../api";
import { App } from "./App";
import { keptDraft } from "./kept_drafts";
import { laidOut } from "./layout";
import { readPageData } from "./page";
import { isSameDocument } from "./same_document";
import type { Opened } from "./use_draft";

async function open(): Promise<void> {
  const page = readPageData();
  const place = document.getElementById("designer");
  if (!place) throw new Error("The page has no place for the designer.");
  try {
    const { design, etag } = await designApi.get(page.design_id);
    const kept = page.may.change ? keptDraft(page.design_id) : undefined;
    const isSame = isSameDocument(kept?.design, design.document);
    const opened: Opened = {
      design: laidOut(design.document),
      etag,
      problems: design.problems,
      kept: isSame ? undefined : kept,
    };
    createRoot(place).render(<App page={page} opened={opened} />);
  } catch (error) {
    showFailure(place, error);
  }
}

function showFailure(place: HTMLElement, error: unknown): void {
  const again = document.createElement("button");
  again.type = "button";
  again.className = "button small";
  again.textContent = "Try again";
  again.addEventListener("click", () => location.reload());
  const text = document.createElement("p");
  text.className = "notice bad";
  text.setAttribute("role", "alert");
  text.append(`The design could not be opened. ${error instanceof Error ? error.message : String(error)} `, again);
  place.replaceChildren(text);
}

void open();
