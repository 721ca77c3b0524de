/** NAV over time. The drawing library is loaded when the first chart is shown. */

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { useCell } from "../store/cell.ts";
import type { NavPoint } from "../store/nav_history.ts";
import { theme, zone } from "../store/preferences.ts";
import { zoneShift } from "../model/times.ts";
import { colour } from "./colours.ts";

const HEIGHT = 150;

export function NavChart({ points }: { points: readonly NavPoint[] }): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const where = useCell(zone);
  const look = useCell(theme);
  const data: uPlot.AlignedData = [
    points.map((p) => p.time + zoneShift(p.time * 1000, where)),
    points.map((p) => p.nav),
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
      plot.current = new Plot(options(width()), newest.current, parent);
      follow = new ResizeObserver(() => plot.current?.setSize({ width: width(), height: HEIGHT }));
      follow.observe(parent);
    });
    return () => {
      gone = true;
      follow?.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [where, look]);
  useEffect(() => plot.current?.setData(data), [points.length, where]);
  const [first, last] = [points[0], points.at(-1)];
  const text = first && last ? `NAV from ${first.nav} to ${last.nav}` : "NAV";
  return <div ref={element} class="chart nav-chart" role="img" aria-label={text} />;
}

/** A range that shows small moves, and a flat line in the middle. */
function padded(low: number, high: number): [number, number] {
  const pad = Math.max((high - low) * 0.1, Math.abs(high) * 1e-5);
  return [low - pad, high + pad];
}

function options(width: number): uPlot.Options {
  const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    // The points are shifted to the operator's zone already.
    tzDate: (ts) => new Date(ts * 1000 + new Date(ts * 1000).getTimezoneOffset() * 60_000),
    scales: { y: { range: (_, low, high) => padded(low, high) } },
    series: [{}, { stroke: colour("--accent"), width: 2 }],
    axes: [axis, { ...axis, size: 84 }],
  };
}
