/** One series over time. The drawing library is loaded when the first chart is shown. */

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import type { ChartPoint } from "../model/results.ts";
import { grouped } from "../model/decimals.ts";
import { zoneShift } from "../model/times.ts";
import { useCell } from "../store/cell.ts";
import { theme, zone } from "../store/preferences.ts";
import { colour } from "./colours.ts";

const HEIGHT = 150;
const WIDEST_BAR = 40;

export type ChartKind = "line" | "area" | "bars";

interface Props {
  /** What a screen reader says in its place. */
  readonly label: string;
  readonly points: readonly ChartPoint[];
  readonly kind: ChartKind;
  /** Whether values are fractions that are shown as percent. */
  readonly percent?: boolean;
}

export function TimeChart({ label, points, kind, percent = false }: Props): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const where = useCell(zone);
  const look = useCell(theme);
  const data: uPlot.AlignedData = [
    points.map((p) => p.time + zoneShift(p.time * 1000, where)),
    points.map((p) => p.value),
  ];
  const newest = useRef(data);
  newest.current = data;
  useEffect(() => {
    let gone = false;
    let follow: ResizeObserver | undefined;
    void import("uplot").then(({ default: Plot }) => {
      const parent = element.current;
      if (gone || !parent) return;
      const width = (): number => Math.max(200, parent.clientWidth);
      plot.current = new Plot(options(Plot, width(), kind, percent), newest.current, parent);
      follow = new ResizeObserver(() => plot.current?.setSize({ width: width(), height: HEIGHT }));
      follow.observe(parent);
    });
    return () => {
      gone = true;
      follow?.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [where, look, kind, percent]);
  const last = points.at(-1);
  useEffect(() => plot.current?.setData(data), [points.length, last?.time, last?.value, where]);
  return <div ref={element} class="chart time-chart" role="img" aria-label={label} />;
}

/** A range that shows small moves, and a flat line in the middle. */
function padded(low: number, high: number): [number, number] {
  const pad = Math.max((high - low) * 0.1, Math.abs(high) * 1e-5);
  return [low - pad, high + pad];
}

/** A range that holds 0, from which bars and areas are drawn. */
function fromZero(low: number, high: number): [number, number] {
  const pad = Math.max(Math.max(high, 0) - Math.min(low, 0), 1e-6) * 0.1;
  return [low < 0 ? low - pad : 0, high > 0 ? high + pad : 0];
}

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });

const SECOND = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: "UTC" });

/** A time of the axis, which is shifted to the operator's zone; its day where steps are days. */
function timeOf(seconds: number, step: number): string {
  return (step >= 86_400 ? DAY : step >= 60 ? MINUTE : SECOND).format(seconds * 1000);
}

function options(Plot: typeof uPlot, width: number, kind: ChartKind, percent: boolean): uPlot.Options {
  const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const text = (value: number): string => (percent ? `${Number((value * 100).toPrecision(3))} %` : grouped(String(Number(value.toPrecision(9)))));
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    // The points are shifted to the operator's zone already.
    tzDate: (ts) => new Date(ts * 1000 + new Date(ts * 1000).getTimezoneOffset() * 60_000),
    scales: {
      x: { range: (_, low, high) => (kind === "bars" ? [low - 43_200, high + 43_200] : [low, high]) },
      y: { range: (_, low, high) => (kind === "line" ? padded(low, high) : fromZero(low, high)) },
    },
    series: [
      {},
      {
        stroke: colour(kind === "area" ? "--fall" : "--accent"),
        width: kind === "bars" ? 0 : 2,
        points: { show: false },
        ...(kind === "line" ? {} : { fill: colour(kind === "area" ? "--wash-bad" : "--accent") }),
        ...(kind === "bars" ? { paths: Plot.paths.bars?.({ size: [0.7, WIDEST_BAR] }) } : {}),
      },
    ],
    axes: [{ ...axis, size: 28, space: 64, values: (_, splits, __, ___, step) => splits.map((s) => timeOf(s, step)) }, { ...axis, size: 84, values: (_, splits) => splits.map(text) }],
  };
}
