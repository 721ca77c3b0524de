/** How far days as they were traded differ from their replay, from the journal's answer. */

export interface Cause {
  readonly cause: string;
  readonly differences: number;
  /** What live earned more than the replay, as the API has it. */
  readonly cash: string;
}

export interface DivergenceDay {
  readonly day: string;
  readonly liveNet: string;
  readonly replayNet: string;
  readonly causes: readonly Cause[];
}

/**
 * The days of an answer, newest first; undefined where it has another form. This console is built
 * against stacks that do not have the route yet, so it takes nothing for granted.
 */
export function daysOf(answer: unknown): readonly DivergenceDay[] | undefined {
  const list = isRecord(answer) ? answer["days"] : undefined;
  if (!Array.isArray(list)) return undefined;
  const days = list.map(dayOf);
  if (!days.every((day) => day !== undefined)) return undefined;
  return days.toSorted((a, b) => b.day.localeCompare(a.day));
}

function dayOf(value: unknown): DivergenceDay | undefined {
  if (!isRecord(value) || typeof value["day"] !== "string") return undefined;
  const causes = value["causes"];
  if (!Array.isArray(causes) || !causes.every(isCause)) return undefined;
  return {
    day: value["day"],
    liveNet: textOf(value["live_net"]),
    replayNet: textOf(value["replay_net"]),
    causes: causes.map(({ cause, differences, cash }) => ({ cause, differences: Number(differences), cash })),
  };
}

function isCause(value: unknown): value is { cause: string; differences: unknown; cash: string } {
  return isRecord(value) && typeof value["cause"] === "string" && typeof value["cash"] === "string";
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
