/** The fields of the side panel. Each knows its path, so that a problem leads to it. */

import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import type { Json } from "../client";
import type { FieldProblem } from "../problem";
import { useDesigner } from "./context";

/** What is edited here is read only for those who may only look; what leads somewhere stands outside of it. */
export function Editable({ title, children }: { title: string; children: ReactNode }) {
  const { page } = useDesigner();
  return (
    <fieldset className="plain-fieldset" disabled={!page.may.change}>
      <legend className="visually-hidden">{title}</legend>
      <div className="stack">{children}</div>
    </fieldset>
  );
}

interface FieldProps {
  label: string;
  path: string;
  problem?: string | undefined;
  hint?: string;
  children(attributes: {
    id: string;
    "data-path": string;
    "aria-invalid": boolean | undefined;
    "aria-describedby": string | undefined;
  }): ReactNode;
}

function Field({ label, path, problem, hint, children }: FieldProps) {
  const id = useId();
  const described = [hint && `${id}-hint`, problem && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {hint && (
        <span className="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {children({
        id,
        "data-path": path,
        "aria-invalid": problem ? true : undefined,
        "aria-describedby": described || undefined,
      })}
      <span className="error" id={`${id}-error`}>
        {problem}
      </span>
    </div>
  );
}

interface TextProps {
  label: string;
  path: string;
  value: string;
  problem?: string | undefined;
  hint?: string;
  placeholder?: string;
  list?: string;
  isLong?: boolean;
  onChange(text: string): void;
}

export function TextField({ value, onChange, placeholder, list, isLong, ...field }: TextProps) {
  return (
    <Field {...field}>
      {(attributes) =>
        isLong ? (
          <textarea
            {...attributes}
            className="growing"
            value={value}
            placeholder={placeholder}
            onChange={(event) => onChange(event.target.value)}
          />
        ) : (
          <input
            {...attributes}
            type="text"
            value={value}
            placeholder={placeholder}
            list={list}
            autoComplete="off"
            onChange={(event) => onChange(event.target.value)}
          />
        )
      }
    </Field>
  );
}

interface ChoiceProps {
  label: string;
  path: string;
  value: string;
  problem?: string | undefined;
  choices: readonly (readonly [value: string, words: string])[];
  onChange(value: string): void;
}

export function ChoiceField({ value, choices, onChange, ...field }: ChoiceProps) {
  return (
    <Field {...field}>
      {(attributes) => (
        <select {...attributes} value={value} onChange={(event) => onChange(event.target.value)}>
          {choices.map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface JsonProps {
  label: string;
  path: string;
  value: Json | undefined;
  problem?: string | undefined;
  hint?: string;
  onChange(value: Json | undefined): void;
}

/** JSON as text. Half of one is kept as it is typed, and only told once it is whole; empty is no value. */
export function JsonField({ value, problem, onChange, ...field }: JsonProps) {
  const written = value === undefined || value === null ? "" : JSON.stringify(value, null, 2);
  const [text, setText] = useState(written);
  const [fault, setFault] = useState<string>();
  const told = useRef(written);
  useEffect(() => {
    if (written === told.current) return;
    told.current = written;
    setText(written);
    setFault(undefined);
  }, [written]);
  const change = (typed: string) => {
    setText(typed);
    try {
      const read = typed.trim() ? (JSON.parse(typed) as Json) : undefined;
      told.current = read === undefined || read === null ? "" : JSON.stringify(read, null, 2);
      setFault(undefined);
      onChange(read);
    } catch (error) {
      setFault(`Not JSON yet, so the last whole value counts: ${(error as Error).message}`);
    }
  };
  return (
    <Field {...field} problem={fault ?? problem}>
      {(attributes) => (
        <textarea
          {...attributes}
          className="mono growing"
          spellCheck={false}
          value={text}
          onChange={(event) => change(event.target.value)}
        />
      )}
    </Field>
  );
}

interface SchemaFormProps {
  schema: Json;
  value: Json;
  path: string;
  problems?: FieldProblem[];
  onChange(value: Json): void;
}

/** `<schema-form>`, which draws itself. */
export function SchemaForm({ schema, value, path, problems, onChange }: SchemaFormProps) {
  const form = useRef<HTMLElementTagNameMap["schema-form"]>(null);
  const listener = useRef(onChange);
  listener.current = onChange;
  useEffect(() => {
    const element = form.current;
    if (!element) return;
    element.schema = schema;
    element.value = value;
    element.problems = problems ?? [];
  }, [schema, value, problems]);
  useEffect(() => {
    const element = form.current;
    const changed = (event: Event) => {
      if (event instanceof CustomEvent) listener.current(event.detail as Json);
    };
    element?.addEventListener("change", changed);
    return () => element?.removeEventListener("change", changed);
  }, []);
  return <schema-form ref={form} data-path={path} />;
}
