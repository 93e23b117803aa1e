/** A moment as seen from another: "5 minutes ago", "tomorrow". */

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", 30],
  ["month", 12],
  ["year", Number.POSITIVE_INFINITY],
];
const SAID = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
export function relative(moment: Date, now: Date): string {
  let amount = (moment.getTime() - now.getTime()) / 1000;
  for (const [unit, size] of STEPS) {
    if (Math.abs(amount) < size) return SAID.format(Math.round(amount), unit);
    amount /= size;
  }
  return "";
}
