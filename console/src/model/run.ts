/** A run of research, as `summary.json` of `sep-research sweep` has it. */

/** What a member has to be: `figure` is a number or null; `{"*": …}` a map, `{"?": …}` may be null. */
type Form = "text" | "number" | "figure" | "yes" | readonly [Form] | { readonly [member: string]: Form };

type Of<F> = F extends "text"
  ? string
  : F extends "number"
    ? number
    : F extends "figure"
      ? number | null
      : F extends "yes"
        ? boolean
        : F extends readonly [infer G]
          ? ReadonlyArray<Of<G>>
          : F extends { readonly "*": infer G }
            ? Readonly<Record<string, Of<G>>>
            : F extends { readonly "?": infer G }
              ? Of<G> | null
              : { readonly [K in keyof F]: Of<F[K]> };

const FOLD = {
  test_from: "text",
  test_to: "text",
  chosen: {
    "?": {
      params: { "*": "number" },
      train_t: "figure",
      test_trades: "number",
      test_return: "number",
      test_drawdown: "number",
      test_calmar: "figure",
    },
  },
} as const;

const VERDICT = {
  params: { "*": "number" },
  promote: "yes",
  reasons: ["text"],
  trades: "number",
  out_return: "figure",
  t: "figure",
  sharpe: "figure",
  p_value: "figure",
  null_quantile: "figure",
  deflated: "figure",
  overfit: "figure",
  track_days: "figure",
  neighbours_t: "figure",
  doubled_costs: "figure",
  gate_passes: "number",
  windows: "number",
  test_days: "number",
  reality_p: "figure",
  low_return: "figure",
  high_return: "figure",
  recent_return: "figure",
} as const;

const RUN = {
  sets: "number",
  space: { "*": ["number"] },
  adaptive: "yes",
  granularity: "text",
  test_from: "text",
  test_to: "text",
  seed: "number",
  null_best: ["figure"],
  reasons: { "*": "text" },
  instruments: [
    {
      instrument: "text",
      candles_sha256: "text",
      bars: "number",
      params_digest: "text",
      verdict: VERDICT,
      folds: [FOLD],
      heatmaps: [{ across: "text", down: "text", t: [["figure"]] }],
    },
  ],
} as const;

export type Run = Of<typeof RUN>;
export type Judged = Run["instruments"][number];
export type Heatmap = Judged["heatmaps"][number];

const FORMAT = 1;

/** The run in a summary; throws an Error that names what is wrong with it. */
export function parseRun(text: string): Run {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error("it is no JSON: perhaps it was cut off");
  }
  const format = isObject(found) ? found["format"] : undefined;
  if (format !== FORMAT) throw new Error(`its format is ${String(format)}, and this console reads ${FORMAT}`);
  const fault = faultOf(RUN, found, "");
  if (fault) throw new Error(fault);
  return found as Run;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function faultOf(form: Form, value: unknown, at: string): string | undefined {
  if (typeof form === "string") {
    const type = form === "text" ? "string" : form === "yes" ? "boolean" : "number";
    if (typeof value === type || (form === "figure" && value === null)) return undefined;
    return `${at} is ${value === undefined ? "missing" : JSON.stringify(value).slice(0, 40)}, and must be a ${type}`;
  }
  if (isList(form)) {
    if (!Array.isArray(value)) return `${at} must be a list`;
    return first(value, (item, i) => faultOf(form[0], item, `${at}[${i}]`));
  }
  if (form["?"] && value === null) return undefined;
  if (!isObject(value)) return `${at || "it"} must be an object`;
  const each = form["*"];
  if (each) return first(Object.keys(value), (name) => faultOf(each, value[name], `${at}.${name}`));
  const members = form["?"] ?? form;
  return first(Object.entries(members), ([name, of]) => faultOf(of as Form, value[name], at ? `${at}.${name}` : name));
}

const isList = (form: Form): form is readonly [Form] => Array.isArray(form);

function first<T>(items: readonly T[], faultOf: (item: T, i: number) => string | undefined): string | undefined {
  for (const [i, item] of items.entries()) {
    const fault = faultOf(item, i);
    if (fault) return fault;
  }
  return undefined;
}

/** From which day to which something was tested. */
export function daysOf({ test_from, test_to }: { readonly test_from: string; readonly test_to: string }): string {
  return `${test_from.slice(0, 10)} to ${test_to.slice(0, 10)}`;
}

/** The parameters that varied, of a set: `c_min 0.4, dir_threshold_bps 2`. */
export function setText({ space }: Run, params: Readonly<Record<string, number>>): string {
  const varied = Object.keys(space).filter((name) => (space[name]?.length ?? 0) > 1);
  return (varied.length ? varied : Object.keys(space)).map((name) => `${name} ${params[name] ?? "–"}`).join(", ");
}

export interface Bin {
  readonly from: number;
  readonly to: number;
  readonly runs: number;
  /** Whether the winner is in it. */
  readonly winner: boolean;
}

const BINS = 10;

/** Null runs by their best t-statistic, over a range that holds the winner's own. */
export function binsOf(nullBest: readonly (number | null)[], winner: number | null): Bin[] {
  const values = nullBest.filter((v) => v !== null);
  if (!values.length) return [];
  const all = winner === null ? values : [...values, winner];
  const low = Math.min(...all);
  const width = (Math.max(...all) - low) / BINS || 1;
  const place = (value: number): number => Math.min(BINS - 1, Math.floor((value - low) / width));
  return Array.from({ length: BINS }, (_, i) => ({
    from: low + i * width,
    to: low + (i + 1) * width,
    runs: values.filter((v) => place(v) === i).length,
    winner: winner !== null && place(winner) === i,
  }));
}
