/** Durations, counts and money as a person reads them. */

const COUNT = new Intl.NumberFormat("en-GB");

export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function count(amount: number, noun: string): string {
  return `${COUNT.format(amount)} ${noun}${amount === 1 ? "" : "s"}`;
}

/** USD; null: no price is known. */
export function money(amount: number | null): string {
  if (amount === null) return "no price known";
  if (amount === 0) return "$0";
  return `$${amount < 0.01 ? amount.toPrecision(2) : amount.toFixed(amount < 1 ? 4 : 2)}`;
}
