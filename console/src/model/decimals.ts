/** Decimals as the broker sends them. They are never rounded on the way to the screen. */

/** With thin spaces between groups of three digits: `100000.1234` is `100 000.1234`. */
export function grouped(text: string | undefined): string {
  const match = /^(-?)(\d+)(\..*)?$/.exec(text ?? "");
  if (!match) return text || "–";
  const [, sign, whole, fraction] = match;
  return `${sign ? "−" : ""}${(whole ?? "").replace(/\B(?=(\d{3})+$)/g, " ")}${fraction ?? ""}`;
}

/** The same with four decimals at most, cut off: what the stack computes has more than the broker's amounts. */
export function cut(text: string | undefined): string {
  return grouped(text?.replace(/(\.\d{4})\d+$/, "$1"));
}

/** The same with a plus where it is above 0. */
export function signed(text: string | undefined): string {
  const shown = grouped(text);
  return signOf(text) > 0 ? `+${shown}` : shown;
}

/** 1, 0 or -1. */
export function signOf(text: string | undefined): -1 | 0 | 1 {
  if (!text || !/[1-9]/.test(text.replace(/[eE].*/, ""))) return 0;
  return text.startsWith("-") ? -1 : 1;
}

/** A sum of decimals, exact, with as many decimals as the longest has. */
export function sum(texts: readonly string[]): string {
  const parsed = texts.map(parse);
  const scale = Math.max(0, ...parsed.map((p) => p.scale));
  const total = parsed.reduce((t, p) => t + p.digits * 10n ** BigInt(scale - p.scale), 0n);
  const digits = (total < 0n ? -total : total).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  return `${total < 0n ? "-" : ""}${whole}${scale ? `.${digits.slice(-scale)}` : ""}`;
}

/** A share as percent with one decimal. */
export function percent(share: number | undefined, decimals = 1): string {
  return share === undefined || !Number.isFinite(share) ? "–" : `${grouped((share * 100).toFixed(decimals))} %`;
}

/** A number with so many significant digits. */
export function figure(value: number | undefined, digits = 3): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  return grouped(String(Number(value.toPrecision(digits))));
}

function parse(text: string): { digits: bigint; scale: number } {
  const match = /^(-?\d+)(?:\.(\d+))?$/.exec(text);
  if (!match) return { digits: 0n, scale: 0 };
  const fraction = match[2] ?? "";
  return { digits: BigInt(`${match[1]}${fraction}`), scale: fraction.length };
}
