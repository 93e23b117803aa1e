import { expect, test } from "vitest";
import type { Json } from "../client";
import { exampleOf } from "./names";

const START: Json = { text: "", tone: "warm" };

test.each<[string, Json, Json]>([
  ["its own", { examples: [{ text: "Whole" }], properties: { text: { examples: ["Part"] } } }, { text: "Whole" }],
  ["its fields'", { properties: { text: { examples: ["Part"] }, tone: {} } }, { text: "Part", tone: "warm" }],
  ["none", { properties: { text: { type: "string" } } }, START],
  ["no object", { type: "string", examples: [] }, START],
])("an input to try is made of the schema's examples: %s", (_, schema, expected) => {
  expect(exampleOf(schema, START)).toEqual(expected);
});
