/** What a form shows for a JSON Schema. The pure half of `<schema-form>`: no document is touched here. */

import type { Json } from "../client";

export type Schema = { [keyword: string]: Json };
export type JsonObject = { [member: string]: Json };

interface Described {
  title: string;
  description: string;
  /** What holds when nothing is given; undefined when the schema says nothing about it. */
  fallback: Json | undefined;
  /** An empty field is sent as null, not as "" or not at all. */
  nullable: boolean;
}

export interface TextField extends Described {
  kind: "text";
  /** Of `<input>`; "long" is a field of several lines. */
  input: "text" | "long" | "date" | "time" | "email" | "url";
  minLength: number | undefined;
  maxLength: number | undefined;
}
export interface NumberField extends Described {
  kind: "number";
  whole: boolean;
  minimum: number | undefined;
  maximum: number | undefined;
}
export interface ChoiceField extends Described {
  kind: "choice";
  choices: Json[];
}
export interface SwitchField extends Described {
  kind: "switch";
}
/** One value only: not shown, and always sent. */
export interface FixedField extends Described {
  kind: "fixed";
  value: Json;
}
export interface ListField extends Described {
  kind: "list";
  item: Field;
  minItems: number;
  maxItems: number | undefined;
}
export interface ObjectField extends Described {
  kind: "object";
  members: Member[];
}
/** Whatever has no field of its own is written as JSON. */
export interface JsonField extends Described {
  kind: "json";
}
export interface Member {
  name: string;
  required: boolean;
  field: Field;
}
export type Field =
  | TextField
  | NumberField
  | ChoiceField
  | SwitchField
  | FixedField
  | ListField
  | ObjectField
  | JsonField;

/** Deeper than this, or where a schema contains itself, a value is written as JSON. */
const DEEPEST = 6;
/** A text that may be longer than this gets several lines. */
const ONE_LINE = 120;
const INPUTS: Record<string, TextField["input"]> = { date: "date", time: "time", email: "email", uri: "url" };

export function fieldOf(schema: Json, root: Json = schema, name = "", depth = 0): Field {
  const [plain, nullable] = withoutNull(resolved(schema, root), root);
  const described = describe(plain, name, nullable);
  if (depth > DEEPEST) return { ...described, kind: "json" };
  if ("const" in plain) return { ...described, kind: "fixed", value: plain.const ?? null };
  if (Array.isArray(plain.enum)) return choiceOf(plain.enum, described);
  if (isComposed(plain)) return { ...described, kind: "json" };
  switch (plain.type) {
    case "string":
      return { ...described, kind: "text", input: inputOf(plain), ...bounds(plain, "minLength", "maxLength") };
    case "integer":
    case "number":
      return { ...described, kind: "number", whole: plain.type === "integer", ...bounds(plain, "minimum", "maximum") };
    case "boolean":
      return nullable ? choiceOf([true, false], described) : { ...described, kind: "switch" };
    case "array":
      return listOf(plain, root, described, depth);
    case "object":
      return objectOf(plain, root, described, depth);
    default:
      return { ...described, kind: "json" };
  }
}

/** A value to begin with: defaults, fixed values, and empty fields for what is required. */
export function startingValue(field: Field): Json | undefined {
  if (field.kind === "fixed") return field.value;
  if (field.fallback !== undefined) return field.fallback;
  if (field.nullable) return null;
  switch (field.kind) {
    case "object":
      return startingObject(field);
    case "list":
      return Array.from({ length: field.minItems }, () => startingValue(field.item) ?? null);
    case "text":
      return "";
    case "switch":
      return false;
    default:
      return undefined;
  }
}

function startingObject(field: ObjectField): JsonObject {
  const value: JsonObject = {};
  for (const { name, required, field: member } of field.members) {
    if (!required && member.fallback === undefined) continue;
    const begun = startingValue(member);
    if (begun !== undefined) value[name] = begun;
  }
  return value;
}

/** Whether the field can show the value; what it cannot is shown as JSON, so that nothing of it is lost. */
export function fits(field: Field, value: Json | undefined): boolean {
  if (value === undefined || (value === null && field.nullable)) return true;
  switch (field.kind) {
    case "text":
      return typeof value === "string" && (field.input === "long" || !value.includes("\n"));
    case "number":
      return typeof value === "number";
    case "switch":
      return typeof value === "boolean";
    case "choice":
      return field.choices.some((choice) => JSON.stringify(choice) === JSON.stringify(value));
    case "list":
      return Array.isArray(value);
    case "object":
      return isObject(value);
    case "fixed":
      return JSON.stringify(field.value) === JSON.stringify(value);
    case "json":
      return true;
  }
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function resolved(schema: Json, root: Json, hops = 0): Schema {
  if (!isObject(schema)) return {};
  const { $ref: reference, ...beside } = schema;
  if (typeof reference !== "string") return schema;
  if (!reference.startsWith("#") || hops > 20) return beside;
  return { ...resolved(lookUp(root, reference.slice(1)), root, hops + 1), ...beside };
}

function lookUp(root: Json, pointer: string): Json {
  let found: Json | undefined = root;
  for (const part of pointer.split("/").slice(1)) {
    const name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    found = isObject(found) ? found[name] : undefined;
  }
  return found ?? {};
}

/** `anyOf` with null, or a list of types with "null" in it, is one schema that may be null. */
function withoutNull(schema: Schema, root: Json): [Schema, boolean] {
  const { anyOf, oneOf, type, ...beside } = schema;
  const options = anyOf ?? oneOf;
  if (Array.isArray(options)) {
    const rest = options.filter((option) => resolved(option, root).type !== "null");
    const only = rest[0];
    if (rest.length === 1 && only !== undefined) {
      return [{ ...resolved(only, root), ...beside }, rest.length < options.length];
    }
  }
  if (Array.isArray(type)) {
    const rest = type.filter((name) => name !== "null");
    const only = rest.length === 1 ? rest[0] : undefined;
    if (only !== undefined) return [{ ...beside, type: only }, rest.length < type.length];
  }
  return [schema, false];
}

function isComposed(schema: Schema): boolean {
  return ["anyOf", "oneOf", "allOf", "not", "if", "prefixItems"].some((keyword) => keyword in schema);
}

function describe(schema: Schema, name: string, nullable: boolean): Described {
  return {
    title: typeof schema.title === "string" && schema.title ? schema.title : wordsOf(name),
    description: typeof schema.description === "string" ? schema.description : "",
    fallback: schema.default,
    nullable,
  };
}

/** "max_rounds" and "maxRounds" are both "Max rounds". */
export function wordsOf(name: string): string {
  const words = name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replace(/[_-]+/g, " ")
    .trim()
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function choiceOf(values: Json[], described: Described): Field {
  const choices = values.filter((value) => value !== null);
  const nullable = described.nullable || choices.length < values.length;
  const only = choices[0];
  if (choices.length === 1 && only !== undefined && !nullable) return { ...described, kind: "fixed", value: only };
  return { ...described, kind: "choice", choices, nullable };
}

function inputOf(schema: Schema): TextField["input"] {
  const known = typeof schema.format === "string" ? INPUTS[schema.format] : undefined;
  if (known) return known;
  const longest = typeof schema.maxLength === "number" ? schema.maxLength : Number.POSITIVE_INFINITY;
  return longest > ONE_LINE && typeof schema.pattern !== "string" ? "long" : "text";
}

function bounds<Low extends string, High extends string>(
  schema: Schema,
  low: Low,
  high: High,
): Record<Low | High, number | undefined> {
  const read = (keyword: string) => (typeof schema[keyword] === "number" ? schema[keyword] : undefined);
  return { [low]: read(low), [high]: read(high) } as Record<Low | High, number | undefined>;
}

function listOf(schema: Schema, root: Json, described: Described, depth: number): Field {
  if (!isObject(schema.items)) return { ...described, kind: "json" };
  const item = fieldOf(schema.items, root, "", depth + 1);
  const { minItems, maxItems } = bounds(schema, "minItems", "maxItems");
  return { ...described, kind: "list", item, minItems: minItems ?? 0, maxItems };
}

function objectOf(schema: Schema, root: Json, described: Described, depth: number): Field {
  const properties = isObject(schema.properties) ? schema.properties : {};
  const required = Array.isArray(schema.required) ? schema.required : [];
  const members = Object.entries(properties).map(([name, member]) => ({
    name,
    required: required.includes(name),
    field: fieldOf(member, root, name, depth + 1),
  }));
  return members.length ? { ...described, kind: "object", members } : { ...described, kind: "json" };
}
