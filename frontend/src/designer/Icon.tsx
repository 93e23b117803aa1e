/** Drawn marks: not every machine has a font with such signs. Each is lines in a square of 16. */

const LINES = {
  undo: "M6 3 3 6l3 3M3 6h6.5a3.5 3.5 0 0 1 0 7H6",
  redo: "m10 3 3 3-3 3M13 6H6.5a3.5 3.5 0 0 0 0 7H10",
  duplicate: "M6 6h7v7H6zM3 10V3h7",
  delete: "M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5M7 7v3.5M9 7v3.5",
  tidy: "M2.5 6h3.5v4H2.5zM10 2.5h3.5V6H10zM10 10h3.5v3.5H10zM6 8h2M8 4.2v7.6M8 4.2h2M8 11.8h2",
  left: "M3 2v12M5.5 4.5h7v2.5h-7zM5.5 9h4.500v2.500h-4.500z",
  top: "M2 3h12M4.500 5.500h2.500v7h-2.500zM9 5.500h2.500v4.500H9z",
  minus: "M3.500 8h9",
  plus: "M3.500 8h9M8 3.500v9",
  fit: "M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3",
  help: "M5.800 6a2.200 2.200 0 1 1 3.200 2c-.7.4-1 .8-1 1.600M8 12.200v.3",
  back: "M9.500 3.500 5 8l4.500 4.500",
  run: "M5 3.500v9l7-4.500z",
  sequential: "M2 8h11M9.500 4.500 13 8l-3.500 3.500",
  parallel: "M2 5h10M9.500 2.500 12 5 9.500 7.500M2 11h10M9.500 8.500 12 11l-2.500 2.500",
  hierarchical: "M6 2.500h4v3H6zM2 10.500h4v3H2zM10 10.500h4v3h-4zM8 5.500V8M4 10.500V8h8v2.500",
  debate: "M13 5H3M5.500 2.500 3 5l2.500 2.500M3 11h10M10.500 8.500 13 11l-2.500 2.500",
  routing: "M2 8h4M6 8l4-4.500h3.500M6 8l4 4.500h3.500M11.500 1.500l2 2-2 2M11.500 10.500l2 2-2 2",
  reflection: "M13 8a5 5 0 1 1-1.500-3.500M13 2.500v3h-3",
  block: "M3 3h10v10H3z",
} as const;

export type IconName = keyof typeof LINES;

export function Icon({ name }: { name: string }) {
  const lines = LINES[name as IconName] ?? LINES.block;
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={lines} />
    </svg>
  );
}
