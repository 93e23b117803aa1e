/** The keys of the designer. They are left alone while a field has the cursor, or a dialog is open. */

import { useEffect, useRef } from "react";
import { type Fragment, fromText, toText } from "./clipboard";

export interface ShortcutActions {
  undo(): void;
  redo(): void;
  duplicate(): void;
  remove(): void;
  selectAll(): void;
  selectNothing(): void;
  fit(): void;
  tidy(): void;
  save(): void;
  run(): void;
  help(): void;
  copied(): Fragment;
  paste(fragment: Fragment): void;
}

type Name = Exclude<keyof ShortcutActions, "copied" | "paste">;

const WITH_CONTROL: Record<string, Name> = { z: "undo", y: "redo", d: "duplicate", a: "selectAll" };
const ALONE: Record<string, Name> = {
  Delete: "remove",
  Backspace: "remove",
  Escape: "selectNothing",
  f: "fit",
  t: "tidy",
  "?": "help",
};
/** These are no text in any field. */
const EVERYWHERE: Record<string, Name> = { s: "save", Enter: "run" };

export function actionOf(
  event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">,
  inField: boolean,
) {
  if (event.altKey) return undefined;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    if (EVERYWHERE[key]) return EVERYWHERE[key];
    if (inField) return undefined;
    return key === "z" && event.shiftKey ? "redo" : WITH_CONTROL[key];
  }
  return inField ? undefined : ALONE[key];
}

export function useShortcuts(actions: ShortcutActions): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const leave = new AbortController();
    const { signal } = leave;
    document.addEventListener("keydown", (event) => press(event, latest.current), { signal });
    document.addEventListener("copy", (event) => copyOut(event, latest.current), { signal });
    document.addEventListener(
      "cut",
      (event) => {
        if (copyOut(event, latest.current)) latest.current.remove();
      },
      { signal },
    );
    document.addEventListener("paste", (event) => pasteIn(event, latest.current), { signal });
    return () => leave.abort();
  }, []);
}

function press(event: KeyboardEvent, actions: ShortcutActions): void {
  if (document.querySelector("dialog[open]")) return;
  const name = actionOf(event, isInField(event));
  if (!name) return;
  event.preventDefault();
  actions[name]();
}

function copyOut(event: ClipboardEvent, actions: ShortcutActions): boolean {
  const fragment = actions.copied();
  const hasText = !document.getSelection()?.isCollapsed;
  if (isInField(event) || hasText || !fragment.blocks.length) return false;
  event.clipboardData?.setData("text/plain", toText(fragment));
  event.preventDefault();
  return true;
}

function pasteIn(event: ClipboardEvent, actions: ShortcutActions): void {
  const fragment = fromText(event.clipboardData?.getData("text/plain") ?? "");
  if (isInField(event) || !fragment) return;
  event.preventDefault();
  actions.paste(fragment);
}

/** An editor in a shadow root is not the event's target outside of it, but the first of its path. */
function isInField(event: Event): boolean {
  const [first] = event.composedPath();
  const element = first instanceof Element ? first : undefined;
  return Boolean(element?.closest("input, select, textarea, [contenteditable='true'], dialog"));
}
