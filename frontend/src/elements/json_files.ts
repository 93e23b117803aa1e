/** JSON from and to files of whoever looks at the page. */

import type { Json } from "../client";
import { make } from "./make";
import { notify } from "./notices";

/** The content of a file that is chosen; undefined when none was, or when it is no JSON, which is then said. */
export async function chooseJsonFile(): Promise<Json | undefined> {
  const file = await chooseFile();
  if (!file) return undefined;
  try {
    return JSON.parse(await file.text()) as Json;
  } catch (error) {
    notify(`${file.name} is not JSON: ${(error as Error).message}`, "bad");
    return undefined;
  }
}

function chooseFile(): Promise<File | undefined> {
  const input = make("input", { type: "file", accept: "application/json,.json" });
  return new Promise((resolve) => {
    input.addEventListener("change", () => resolve(input.files?.[0]));
    input.addEventListener("cancel", () => resolve(undefined));
    input.click();
  });
}

export function saveJson(value: Json, name: string): void {
  const address = URL.createObjectURL(new Blob([`${JSON.stringify(value, null, 2)}\n`], { type: "application/json" }));
  const words = name.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "");
  make("a", { href: address, download: `${words || "design"}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
