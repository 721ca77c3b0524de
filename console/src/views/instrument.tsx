/** One instrument: candles, metrics, thresholds, its trades and locks. */

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { CoherenceStatus, Lock, RankedInstrument } from "../../gen/api.ts";
import { barsOf, closedBars, fillsOf, type GateFlip, gateFlipsOf, METRICS, metricPoints, type Side, SIDES } from "../model/candles.ts";
import { checkText, GATE_REASONS } from "../model/checks.ts";
import { figure, percent, signed } from "../model/decimals.ts";
import { linkTo } from "../model/route.ts";
import { hasSessions } from "../model/sessions.ts";
import { brokerTime, duration } from "../model/times.ts";
import { Time } from "../parts/age.tsx";
import { CandleChart } from "../parts/candle_chart.tsx";
import { Facts } from "../parts/facts.tsx";
import { NotConfigured } from "../parts/not_configured.tsx";
import { Panel } from "../parts/panel.tsx";
import { Empty, Mark } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useCell } from "../store/cell.ts";
import { openDialog } from "../store/dialog.ts";
import { usePastEvents } from "../store/past_events.ts";
import { zone } from "../store/preferences.ts";
import { eventsOpen, useRead } from "../store/readings.ts";
import { samples, useLive } from "../store/stream.ts";
import { JournalTrades } from "./results_trades.tsx";

/** How many bars, and metrics under them, are drawn. */
const BARS = 240;

export function Instrument({ instrument }: { instrument: string }): JSX.Element {
  const pairs = useRead("/api/pairs");
  const names = (pairs.data?.pairs ?? []).map((p) => p.instrument);
  return (
    <>
      <nav class="tools" aria-label="Instruments">
        {names.map((n) => (
          <a key={n} href={linkTo("instrument", n)} {...(n === instrument ? { "aria-current": "page" as const } : {})}>
            {n}
          </a>
        ))}
      </nav>
      {!instrument ? (
        <Empty>Choose an instrument.</Empty>
      ) : pairs.data && !names.includes(instrument) ? (
        <NotConfigured instrument={instrument} view="instrument" of={names} />
      ) : (
        <One instrument={instrument} />
      )}
    </>
  );
}

function One({ instrument }: { instrument: string }): JSX.Element {
  const ranking = useRead("/api/ranking/active");
  const coherence = useRead("/api/coherence/status", { instrument });
  const locks = useRead("/api/risk/locks");
  const own = (locks.data?.locks ?? []).filter((l) => l.instrument === instrument);
  const ranked = ranking.data?.ranking.find((r) => r.instrument === instrument);
  return (
    <div class="grid">
      <Chart instrument={instrument} />
      <Panel title="Metrics and thresholds" of={[coherence]}>
        {coherence.data?.statuses[0] && <Thresholds of={coherence.data.statuses[0]} instrument={instrument} />}
      </Panel>
      <Panel title="Gate and weight" of={[ranking]} aside={<a href={linkTo("why", instrument)}>Why not?</a>}>
        {ranked ? <Gate of={ranked} /> : <Empty>The ranking does not have it.</Empty>}
      </Panel>
      <Panel title="Locks" of={[locks]}>
        <Locks of={own} />
        <div class="tools">
          <button type="button" onClick={() => openDialog({ kind: "lock", instrument })}>
            Lock…
          </button>
          {own.length > 0 && (
            <button type="button" onClick={() => openDialog({ kind: "unlock", instrument })}>
              Unlock…
            </button>
          )}
        </div>
      </Panel>
      <Trades instrument={instrument} />
      <JournalTrades title={`Trades of ${instrument}`} query={{ instrument }} />
    </div>
  );
}

function Chart({ instrument }: { instrument: string }): JSX.Element {
  const [side, setSide] = useState<Side>("mid");
  const candles = useRead("/api/candles", { instrument, limit: BARS });
  const trades = useRead("/api/oanda/open-trades");
  const journal = useRead("/api/journal/trades", { instrument, page_size: 100 });
  const rules = useRead("/api/oanda/instruments");
  const where = useCell(zone);
  const stream = useLive();
  const own = useMemo(
    () => (trades.data?.trades ?? []).filter((t) => t.instrument === instrument),
    [trades.data, instrument],
  );
  const bars = useMemo(() => barsOf(candles.data?.candles ?? [], side, where), [candles.data, side, where]);
  const fills = useMemo(
    () => fillsOf(own, journal.data?.trades ?? [], bars, where),
    [own, journal.data, bars, where],
  );
  const { events: flips, past } = usePastEvents("flip");
  const gate = useMemo(() => gateFlipsOf(instrument, flips, bars, where), [instrument, flips, bars, where]);
  const events = useCell(eventsOpen);
  const session = useRead("/api/pairs").data?.pairs.find((p) => p.instrument === instrument)?.session;
  const shaded = hasSessions(session);
  const closed = useMemo(
    () => (shaded ? closedBars(instrument, candles.data?.candles ?? [], where) : []),
    [instrument, candles.data, where, shaded],
  );
  const manifold = stream.manifolds.get(instrument);
  const windows = useRead("/api/manifold/coeffs", { instrument, history: BARS }).data?.history;
  const metrics = useMemo(() => {
    const seen = samples.of(instrument);
    const from = bars[0]?.time ?? 0;
    return Object.fromEntries(METRICS.map((m) => [m, metricPoints(windows ?? [], seen, m, from, where)])) as Record<
      (typeof METRICS)[number],
      ReturnType<typeof metricPoints>
    >;
  }, [instrument, bars, where, manifold, windows]);
  const precision = rules.data?.instruments.find((i) => i.name === instrument)?.display_precision ?? 5;
  const last = candles.data?.candles.at(-1);
  const tools = (
    <span class="choice" role="group" aria-label="Side">
      {SIDES.map((s) => (
        <button key={s} type="button" aria-pressed={s === side} onClick={() => setSide(s)}>
          {s}
        </button>
      ))}
      <button type="button" onClick={() => openDialog({ kind: "fetch", instrument })}>
        Fetch…
      </button>
    </span>
  );
  return (
    <Panel title={`Candles ${candles.data?.granularity ?? ""}`} of={[candles]} aside={tools} wide>
      {bars.length ? (
        <CandleChart
          label={`${side} candles of ${instrument}, the last ${bars.length}; last close ${last?.bid?.c} bid, ${last?.ask?.c} ask${gateText(gate)}`}
          bars={bars}
          fills={fills}
          gate={gate}
          closed={closed}
          trades={own}
          metrics={metrics}
          precision={precision}
        />
      ) : (
        <Empty>No candle is stored.</Empty>
      )}
      <p class="dim">
        Live <span class="num">{manifold ? manifold.price : "–"}</span>
        {manifold && (
          <>
            {" "}
            at <Time ms={manifold.ts_ms} />
          </>
        )}
        . Metrics are those of complete windows, then live. Arrows are fills
        {journal.data ? "" : " of open trades: the journal, which has the others, does not answer"}; dashed lines are stops
        and targets of open trades. Hollow bars rise.
        {shaded && " Shaded bars lie outside the instrument's sessions."}{" "}
        {flipsText(events, past)}
      </p>
    </Panel>
  );
}

function flipsText(events: boolean, past: boolean): string {
  if (!events) return "Flips of the gate are not available: no events arrive.";
  const words = "Circles and squares: the gate opened or closed";
  return past ? `${words}, as far back as a thousand events.` : `${words}; those of the past are not known yet.`;
}

/** What the chart's marks of the gate say to who can't see them. */
function gateText(gate: readonly GateFlip[]): string {
  if (!gate.length) return "";
  const opened = gate.filter((f) => f.open).length;
  return `; the gate opened ${opened} times, closed ${gate.length - opened} times`;
}

function Thresholds({ of, instrument }: { of: CoherenceStatus; instrument: string }): JSX.Element {
  const stream = useLive();
  const manifold = stream.manifolds.get(instrument);
  const now = manifold?.metrics as Record<string, number> | undefined;
  if (!of.checks.length) return <Empty>No window is complete yet.</Empty>;
  return (
    <>
      <Table
        caption="Metrics against thresholds"
        rows={of.checks}
        keyOf={(c) => c.name}
        columns={[
          {
            title: "Metric",
            cell: (c) => (
              <>
                <Mark tone={c.passed ? "good" : "bad"} /> {c.name}
              </>
            ),
          },
          { title: "Signal", num: true, cell: (c) => figure(c.value) },
          { title: "Allowed", num: true, cell: (c) => checkText(`${c.comparison} ${figure(c.threshold)}`) },
          { title: "Live", num: true, cell: (c) => figure(now?.[c.name]) },
        ]}
      />
      <Facts
        of={[
          ["Signal age", age(of.signal_age_seconds)],
          ["Live price age", age(of.manifold_age_seconds)],
          ["Fresh", of.fresh ? "yes" : "no"],
          ["sigma_eff a bar", figure(manifold?.coeffs?.sigma_eff)],
          ["lambda", figure(manifold?.coeffs?.lambda)],
        ]}
      />
    </>
  );
}

function age(seconds: number | undefined): string {
  return seconds === undefined ? "none yet" : duration(seconds);
}

function Gate({ of }: { of: RankedInstrument }): JSX.Element {
  return (
    <>
      <Facts
        of={[
          [
            "Gate",
            <>
              <Mark tone={of.eligible ? "good" : "bad"} /> {of.eligible ? "open" : "closed"}
            </>,
          ],
          ["Selected", of.selected ? "yes" : "no"],
          ["Weight", percent(of.weight)],
          ["Score", figure(of.score)],
          ["Slope", of.slope_bps === undefined ? "–" : `${figure(of.slope_bps)} bps`],
          ["Sessions", of.session?.active.join(", ") || "closed"],
        ]}
      />
      {of.gate_reasons.length > 0 && (
        <ul>
          {of.gate_reasons.map((r) => (
            <li key={r}>
              {GATE_REASONS[r] ?? r} <small>{r}</small>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function Locks({ of }: { of: readonly Lock[] }): JSX.Element {
  if (!of.length) return <Empty>No lock: it may take entries.</Empty>;
  return (
    <ul class="notices">
      {of.map((l) => (
        <li key={l.cause}>
          <Mark tone="caution" /> <strong>{l.cause.replaceAll("_", " ")}</strong> by {l.actor}: {l.reason}
          <small>
            {" "}
            until {l.until_ms === undefined ? "someone lifts it" : <Time ms={l.until_ms} />}
          </small>
        </li>
      ))}
    </ul>
  );
}

function Trades({ instrument }: { instrument: string }): JSX.Element {
  const trades = useRead("/api/oanda/open-trades");
  const own = (trades.data?.trades ?? []).filter((t) => t.instrument === instrument);
  return (
    <Panel title="Open trades" of={[trades]} wide>
      {own.length ? (
        <Table
          caption={`Open trades of ${instrument}`}
          rows={own}
          keyOf={(t) => t.id}
          columns={[
            { title: "Id", cell: (t) => t.id },
            { title: "Opened", cell: (t) => <Time ms={brokerTime(t.open_time)} /> },
            { title: "Units", num: true, cell: (t) => signed(t.current_units) },
            { title: "Price", num: true, cell: (t) => t.price },
            { title: "Stop", num: true, cell: (t) => t.stop_loss_price || "none" },
            { title: "Target", num: true, cell: (t) => t.take_profit_price || "none" },
            { title: "P&L", amount: (t) => t.unrealized_pl },
            { title: "Financing", plain: true, amount: (t) => t.financing },
          ]}
        />
      ) : (
        <Empty>None.</Empty>
      )}
    </Panel>
  );
}
