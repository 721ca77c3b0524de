/** The services' loops, from their metrics. */

export interface Loop {
  readonly service: string;
  readonly name: string;
  /** When the last tick succeeded, in ms; unset before the first. */
  readonly succeededMs?: number;
  /** How late the last tick started, in seconds; unset for what waits for a stream. */
  readonly lag?: number;
  /** Ticks that failed since the service started. */
  readonly failures: number;
  /** Mean duration of a tick in seconds. */
  readonly mean?: number;
}

const LINE = /^sep_loop_(\w+)\{([^}]*)\} (\S+)/gm;
const LABEL = /(\w+)="([^"]*)"/g;

/** The loops in an exposition, by service and name. */
export function loopsOf(exposition: string): Loop[] {
  const found = new Map<string, Map<string, number>>();
  for (const [, metric = "", labels = "", value] of exposition.matchAll(LINE)) {
    const { loop, service } = Object.fromEntries([...labels.matchAll(LABEL)].map(([, name, text]) => [name, text]));
    const key = `${service ?? ""} ${loop}`;
    const of = found.get(key) ?? new Map<string, number>();
    found.set(key, of.set(metric, Number(value)));
  }
  return [...found].sort().map(([key, of]) => {
    const [service = "", name = ""] = key.split(" ");
    const at = of.get("last_success_timestamp_seconds");
    const ticks = of.get("duration_seconds_count");
    return {
      service,
      name,
      succeededMs: at && at * 1000,
      lag: of.get("lag_seconds"),
      failures: of.get("failures_total") ?? 0,
      mean: ticks ? (of.get("duration_seconds_sum") ?? 0) / ticks : undefined,
    };
  });
}
