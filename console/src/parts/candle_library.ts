/** What candle charts need of the drawing library: the bundle leaves the rest of it out. */

export { CandlestickSeries, createChart, createSeriesMarkers, HistogramSeries, LineSeries } from "lightweight-charts";
