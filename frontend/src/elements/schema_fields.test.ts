import { expect, test } from "vitest";
import type { Json } from "../client";
import { type Field, fieldOf, fits, type ObjectField, startingValue } from "./schema_fields";

const kindsOf = (schema: Json) =>
  Object.fromEntries((fieldOf(schema) as ObjectField).members.map(({ name, field }) => [name, field.kind]));

test("each kind of schema has its field, and what has none is JSON", () => {
  const properties = {
    topic: { type: "string" },
    depth: { type: "integer" },
    share: { type: "number" },
    urgent: { type: "boolean" },
    tone: { enum: ["warm", "cool"] },
    kind: { const: "brief" },
    only: { enum: ["one"] },
    tags: { type: "array", items: { type: "string" } },
    person: { type: "object", properties: { name: { type: "string" } } },
    map: { type: "object", additionalProperties: { type: "string" } },
    either: { anyOf: [{ type: "string" }, { type: "integer" }] },
    anything: true,
    pair: { type: "array", prefixItems: [{ type: "string" }] },
  };
  expect(kindsOf({ type: "object", properties })).toEqual({
    topic: "text",
    depth: "number",
    share: "number",
    urgent: "switch",
    tone: "choice",
    kind: "fixed",
    only: "fixed",
    tags: "list",
    person: "object",
    map: "json",
    either: "json",
    anything: "json",
    pair: "json",
  });
});

test("a text has a line or several, by its bounds and format", () => {
  const inputOf = (schema: Json) => (fieldOf(schema) as Field & { input: string }).input;
  expect(inputOf({ type: "string" })).toBe("long");
  expect(inputOf({ type: "string", maxLength: 40 })).toBe("text");
  expect(inputOf({ type: "string", pattern: "^[a-z]+$" })).toBe("text");
  expect(inputOf({ type: "string", format: "date" })).toBe("date");
});

test.each<[string, Json]>([
  ["anyOf", { anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }], title: "Rounds" }],
  ["a list of types", { type: ["integer", "null"], minimum: 1, title: "Rounds" }],
])("what may be null by %s is the field of the rest", (_, schema) => {
  expect(fieldOf(schema)).toMatchObject({ kind: "number", nullable: true, minimum: 1, title: "Rounds" });
});

test("references are followed, and what stands beside them counts", () => {
  const schema = {
    type: "object",
    properties: { author: { $ref: "#/$defs/a~1person", title: "Author" } },
    $defs: { "a/person": { type: "object", title: "Person", properties: { name: { type: "string" } } } },
  };
  const author = (fieldOf(schema) as ObjectField).members[0]?.field;
  expect(author).toMatchObject({ kind: "object", title: "Author" });
});

test("a schema that contains itself ends as JSON", () => {
  const schema = { $defs: { tree: { type: "object", properties: { next: { $ref: "#/$defs/tree" } } } } };
  let field = fieldOf({ $ref: "#/$defs/tree" }, schema);
  let depth = 0;
  while (field.kind === "object" && depth < 50) {
    field = (field.members[0] as { field: Field }).field;
    depth += 1;
  }
  expect(field.kind).toBe("json");
  expect(fieldOf({ $ref: "#/$defs/me" }, { $defs: { me: { $ref: "#/$defs/me" } } }).kind).toBe("json");
});

test("a name without a title is said in words", () => {
  const schema = { type: "object", properties: { max_rounds: { type: "integer" }, maxRounds: { type: "integer" } } };
  expect((fieldOf(schema) as ObjectField).members.map(({ field }) => field.title)).toEqual([
    "Max rounds",
    "Max rounds",
  ]);
});

test("a form begins with defaults, fixed values and empty required fields", () => {
  const schema = {
    type: "object",
    required: ["topic", "person", "count", "parts"],
    properties: {
      topic: { type: "string" },
      tone: { type: "string", default: "warm" },
      note: { type: "string" },
      kind: { const: "brief" },
      count: { type: "integer" },
      person: { type: "object", required: ["name"], properties: { name: { type: "string" } } },
      parts: { type: "array", minItems: 1, items: { type: "string" } },
    },
  };
  expect(startingValue(fieldOf(schema))).toEqual({ topic: "", tone: "warm", person: { name: "" }, parts: [""] });
});

test.each<[Json, Json | undefined, boolean]>([
  [{ type: "string" }, "x", true],
  [{ type: "string" }, 5, false],
  [{ type: "string", maxLength: 9 }, "a\nb", false],
  [{ type: "string" }, undefined, true],
  [{ type: "string" }, null, false],
  [{ type: ["string", "null"] }, null, true],
  [{ enum: ["a", "b"] }, "c", false],
  [{ const: "a" }, "b", false],
  [{ type: "array", items: { type: "string" } }, {}, false],
])("whether a field shows a value: %j, %j", (schema, value, shown) => {
  expect(fits(fieldOf(schema), value)).toBe(shown);
});
