/** Candles with fills, stops and targets, shaded outside sessions; the four metrics below them on the same time axis. */

import type { IChartApi, IPriceLine, ISeriesApi, ISeriesMarkersPluginApi, SeriesMarker, Time } from "lightweight-charts";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Trade } from "../../gen/api.ts";
import { type Bar, type Fill, type GateFlip, METRICS, type Point } from "../model/candles.ts";
import { useCell } from "../store/cell.ts";
import { theme } from "../store/preferences.ts";
import { colour } from "./colours.ts";

interface Props {
  readonly label: string;
  readonly bars: readonly Bar[];
  readonly fills: readonly Fill[];
  readonly gate: readonly GateFlip[];
  /** Bars outside the instrument's sessions, which are shaded. */
  readonly closed: readonly Point[];
  readonly trades: readonly Trade[];
  readonly metrics: Readonly<Record<(typeof METRICS)[number], readonly Point[]>>;
  /** Decimals of a price. */
  readonly precision: number;
}

interface Drawn {
  readonly chart: IChartApi;
  readonly candles: ISeriesApi<"Candlestick">;
  readonly shade: ISeriesApi<"Histogram">;
  readonly markers: ISeriesMarkersPluginApi<Time>;
  readonly metrics: Record<string, ISeriesApi<"Line">>;
}

export function CandleChart(props: Props): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState<Drawn>();
  const look = useCell(theme);
  const { bars, fills, gate, closed, trades, metrics, precision, label } = props;
  useEffect(() => {
    let made: Drawn | undefined;
    let gone = false;
    void import("./candle_library.ts").then((library) => {
      if (gone || !element.current) return;
      made = draw(library, element.current, precision);
      setDrawn(made);
    });
    return () => {
      gone = true;
      made?.chart.remove();
      setDrawn(undefined);
    };
  }, [look, precision]);
  useEffect(() => {
    if (!drawn) return;
    drawn.candles.setData(bars as never[]);
    drawn.shade.setData(closed as never[]);
    drawn.markers.setMarkers([...fills.map(fillMark), ...gate.map(gateMark)].sort((a, b) => Number(a.time) - Number(b.time)));
    for (const metric of METRICS) drawn.metrics[metric]?.setData(metrics[metric] as never[]);
  }, [drawn, bars, fills, gate, closed, metrics]);
  useEffect(() => {
    if (!drawn) return undefined;
    const lines = trades.flatMap((t) => linesOf(drawn.candles, t));
    return () => lines.forEach((line) => drawn.candles.removePriceLine(line));
  }, [drawn, trades]);
  return <div ref={element} class="chart candle-chart" role="img" aria-label={label} />;
}

function fillMark({ time, buy, text }: Fill): SeriesMarker<Time> {
  return {
    time: time as Time,
    position: buy ? "belowBar" : "aboveBar",
    shape: buy ? "arrowUp" : "arrowDown",
    color: colour("--text"),
    text,
  };
}

/** A circle where the gate opened, a square where it closed: never by colour alone. */
function gateMark({ time, open }: GateFlip): SeriesMarker<Time> {
  return {
    time: time as Time,
    position: "aboveBar",
    shape: open ? "circle" : "square",
    color: colour(open ? "--rise" : "--fall"),
    text: open ? "gate opens" : "gate closes",
  };
}

function draw(library: typeof import("./candle_library.ts"), parent: HTMLElement, precision: number): Drawn {
  const chart = library.createChart(parent, {
    autoSize: true,
    layout: {
      background: { color: colour("--panel") },
      textColor: colour("--dim"),
      // Its notice is on the System view, beside the licences.
      attributionLogo: false,
      panes: { separatorColor: colour("--line") },
    },
    grid: { vertLines: { color: colour("--line") }, horzLines: { color: colour("--line") } },
    // The label of a mark on the last bar is not cut by the axis.
    timeScale: { timeVisible: true, secondsVisible: true, rightOffsetPixels: 48 },
  });
  // First, so that the candles lie on it. A scale of its own reaches from the bottom to the top.
  const shade = chart.addSeries(library.HistogramSeries, {
    color: colour("--wash-unknown"),
    priceScaleId: "shade",
    lastValueVisible: false,
    priceLineVisible: false,
    autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 1 } }),
  });
  chart.priceScale("shade").applyOptions({ scaleMargins: { top: 0, bottom: 0 } });
  const candles = chart.addSeries(library.CandlestickSeries, {
    // Rising bars are hollow: the direction does not depend on colour.
    upColor: "transparent",
    borderUpColor: colour("--rise"),
    wickUpColor: colour("--rise"),
    downColor: colour("--fall"),
    borderDownColor: colour("--fall"),
    wickDownColor: colour("--fall"),
    priceFormat: { type: "price", precision, minMove: 10 ** -precision },
  });
  const metrics = Object.fromEntries(
    METRICS.map((metric, index) => [
      metric,
      chart.addSeries(
        library.LineSeries,
        {
          title: metric,
          color: colour(`--series-${index + 1}`),
          lineWidth: 2,
          lineStyle: index,
          priceLineVisible: false,
          autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 1 } }),
        },
        1,
      ),
    ]),
  );
  return { chart, candles, shade, markers: library.createSeriesMarkers(candles), metrics };
}

function linesOf(candles: ISeriesApi<"Candlestick">, trade: Trade): IPriceLine[] {
  const wanted = [
    [trade.price, "open", "--text"],
    [trade.stop_loss_price, "stop", "--fall"],
    [trade.take_profit_price, "target", "--rise"],
  ] as const;
  return wanted
    .filter(([price]) => price !== "")
    .map(([price, title, token]) =>
      candles.createPriceLine({ price: Number(price), title, color: colour(token), lineWidth: 1, lineStyle: 2 }),
    );
}
