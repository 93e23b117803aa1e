import { useEffect, useId, useRef } from "react";
import type { TemplateName } from "./names";
import { type TemplateEditor as Editor, openTemplateEditor } from "./template_editor";

interface Props {
  label: string;
  value: string;
  path: string;
  names: readonly TemplateName[];
  problem: string | undefined;
  disabled: boolean;
  hint?: string;
  onChange(text: string): void;
}

/** A text with `{{names}}`, which are proposed while it is written. */
export function TemplateEditor({ label, value, path, names, problem, disabled, hint, onChange }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | undefined>(undefined);
  const latest = useRef({ names, onChange, value, label, disabled });
  latest.current = { names, onChange, value, label, disabled };
  const id = useId();

  useEffect(() => {
    if (!place.current) return;
    const { value: text, label: name, disabled: isReadOnly } = latest.current;
    const opened = openTemplateEditor(place.current, {
      text,
      label: name,
      isReadOnly,
      names: () => latest.current.names,
      onChange: (changed) => latest.current.onChange(changed),
    });
    editor.current = opened;
    return () => opened.close();
  }, []);
  useEffect(() => editor.current?.show(value), [value]);
  useEffect(() => editor.current?.tell(problem), [problem]);

  return (
    <div className="field">
      <span className="label" id={id}>
        {label}
      </span>
      {hint && <span className="hint">{hint}</span>}
      <div ref={place} className="template-editor" data-path={path} data-invalid={problem ? true : undefined} />
      <span className="error">{problem}</span>
    </div>
  );
}
