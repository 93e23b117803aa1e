import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ApiError } from "../problem";
import type { Design, DesignDetail } from "../types";
import { emptyDesign } from "./builders";
import { DraftSaver, type Kept, type SaveState } from "./saving";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const named = (name: string): Design => ({ ...emptyDesign(), name });
const refused = (status: number) => new ApiError({ type: "", title: "", status, detail: `Status ${status}.` });

function setUp(answer: (sent: Design, etag: string) => Promise<void> | void) {
  const states: SaveState[] = [];
  const kept: (Kept | undefined)[] = [];
  const sent: [string, string][] = [];
  const first = named("First");
  const saver = new DraftSaver(first, '"1"', {
    save: async (design, etag) => {
      sent.push([design.name, etag]);
      await answer(design, etag);
      return { design: {} as DesignDetail, etag: `"${sent.length + 1}"` };
    },
    keep: (value) => kept.push(value),
    onState: (state) => states.push(state),
    onSaved: () => undefined,
  });
  return { saver, states, kept, sent, first };
}

test("changes in quick succession are one save, on what was read", async () => {
  const { saver, sent, states, kept } = setUp(() => undefined);
  saver.change(named("A"));
  saver.change(named("B"));
  await vi.advanceTimersByTimeAsync(2_000);
  expect(sent).toEqual([["B", '"1"']]);
  expect(states.at(-1)).toEqual({ kind: "saved" });
  expect(kept.at(-1)).toBeUndefined();
});

test("what is typed while a save is under way is saved next, on what that save made", async () => {
  const { saver, sent } = setUp(() => new Promise((resolve) => setTimeout(resolve, 1_000)));
  saver.change(named("A"));
  await vi.advanceTimersByTimeAsync(1_000);
  saver.change(named("B"));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(sent).toEqual([
    ["A", '"1"'],
    ["B", '"2"'],
  ]);
  expect(saver.isSaved).toBe(true);
});

test("after somebody else's save nothing is sent any more, and all stays kept", async () => {
  const { saver, sent, states, kept } = setUp(() => Promise.reject(refused(412)));
  saver.change(named("A"));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(states.at(-1)).toEqual({ kind: "conflict" });
  saver.change(named("B"));
  await vi.advanceTimersByTimeAsync(20_000);
  expect(await saver.flush()).toBe(false);
  expect(sent).toHaveLength(1);
  expect(kept.at(-1)?.design.name).toBe("B");
  expect(kept.at(-1)?.etag).toBe('"1"');
});

test.each([0, 401, 503])("a status of %i may pass: the save is tried again", async (status) => {
  let tries = 0;
  const { saver, states } = setUp(() => {
    tries += 1;
    return tries === 1 ? Promise.reject(refused(status)) : Promise.resolve();
  });
  saver.change(named("A"));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(states.at(-1)?.kind).toBe("failed");
  await vi.advanceTimersByTimeAsync(6_000);
  expect(states.at(-1)).toEqual({ kind: "saved" });
});

test("a document that the site refuses is not sent again before it has changed", async () => {
  const { saver, sent } = setUp((design) => (design.name === "" ? Promise.reject(refused(422)) : Promise.resolve()));
  saver.change(named(""));
  await vi.advanceTimersByTimeAsync(30_000);
  expect(sent).toHaveLength(1);
  saver.change(named("Good"));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(saver.isSaved).toBe(true);
});

test("what is undone to the saved state is saved", async () => {
  const { saver, sent, states, first } = setUp(() => undefined);
  saver.change(named("A"));
  saver.change(first);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(sent).toEqual([]);
  expect(states.at(-1)).toEqual({ kind: "saved" });
});
