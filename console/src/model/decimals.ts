/** Decimals as the broker sends them. Only amounts with more than the broker's are rounded on the way to the screen. */

/** With thin spaces between groups of three digits: `100000.1234` is `100 000.1234`. */
export function grouped(text: string | undefined): string {
  const match = /^(-?)(\d+)(\..*)?$/.exec(text ?? "");
  if (!match) return text || "–";
  const [, sign, whole, fraction] = match;
  return `${sign ? "−" : ""}${(whole ?? "").replace(/\B(?=(\d{3})+$)/g, " ")}${fraction ?? ""}`;
}

/** Decimals of an amount of the home currency, as OANDA gives them. */
const BROKERS = 4;

/**
 * How many decimals amounts need together: the broker's, or more where one that is not 0 would be shown as
 * 0.0000 (then its first two significant digits are shown).
 */
export function decimalsOf(texts: ReadonlyArray<string | undefined>): number {
  return Math.max(BROKERS, ...texts.map((text) => {
    const [, fraction = ""] = /^-?0*\.(\d+)$/.exec(text ?? "") ?? [];
    const first = fraction.search(/[1-9]/);
    if (first < BROKERS || !/^0\.0+$/.test(rounded(`0.${fraction}`, BROKERS))) return BROKERS;
    return Math.min(fraction.replace(/0+$/, "").length, first + 2);
  }));
}

/** An amount of the home currency with so many decimals, rounded half away from 0. */
export function money(text: string | undefined, decimals = decimalsOf([text])): string {
  return grouped(text && rounded(text, decimals));
}

/** A decimal with so many decimals; what is no decimal stays as it is. */
export function rounded(text: string, decimals: number): string {
  const { digits, scale } = parse(text);
  if (!/^-?\d+(\.\d+)?$/.test(text)) return text;
  const size = digits < 0n ? -digits : digits;
  const step = 10n ** BigInt(Math.max(0, scale - decimals));
  const kept = ((size + step / 2n) / step) * 10n ** BigInt(Math.max(0, decimals - scale));
  const shown = kept.toString().padStart(decimals + 1, "0");
  const whole = shown.slice(0, shown.length - decimals);
  return `${text.startsWith("-") && kept > 0n ? "-" : ""}${whole}${decimals ? `.${shown.slice(-decimals)}` : ""}`;
}

/** The same with a plus where it is above 0. */
export function signed(text: string | undefined): string {
  return plus(text, grouped(text));
}

/** An amount of the home currency with a plus where it is above 0. */
export function signedMoney(text: string | undefined, decimals?: number): string {
  return plus(text, money(text, decimals));
}

function plus(text: string | undefined, shown: string): string {
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
