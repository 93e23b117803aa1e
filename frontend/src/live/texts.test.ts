import { expect, test } from "vitest";
import { LiveTexts } from "./texts";

const piece = (offset: number, text: string, key = "draft/0") =>
  ({ type: "delta", block_id: "draft", agent: "Writer", key, offset, text }) as const;

test("pieces continue their own text", () => {
  const texts = new LiveTexts();
  expect(texts.add(piece(0, "Dear "))).toBe("Dear ");
  expect(texts.add(piece(0, "Other", "draft/1"))).toBe("Other");
  expect(texts.add(piece(5, "Ada"))).toBe("Dear Ada");
});

test("a smaller offset replaces what stood from there on: a whole text, or another try", () => {
  const texts = new LiveTexts();
  texts.add(piece(0, "Dear Ada"));
  expect(texts.add(piece(5, "Bob"))).toBe("Dear Bob");
  expect(texts.add(piece(0, "Hello"))).toBe("Hello");
});

test("after a gap nothing is shown until the next whole text", () => {
  const texts = new LiveTexts();
  texts.add(piece(0, "Dear "));
  expect(texts.add(piece(9, "later"))).toBeUndefined();
  expect(texts.add(piece(0, "Dear Ada, later"))).toBe("Dear Ada, later");
});

test("offsets count characters, not the halves of a surrogate pair", () => {
  const texts = new LiveTexts();
  texts.add(piece(0, "🙂🙂"));
  expect(texts.add(piece(2, "!"))).toBe("🙂🙂!");
  expect(texts.add(piece(1, "?"))).toBe("🙂?");
  expect(texts.add(piece(3, "x"))).toBeUndefined();
});

test("a forgotten text begins again", () => {
  const texts = new LiveTexts();
  texts.add(piece(0, "Dear"));
  texts.forget("draft/0");
  expect(texts.add(piece(4, "x"))).toBeUndefined();
});
