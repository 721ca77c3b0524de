/** What was earned and what it cost: yesterday and today, a range, by group, and every trade. */

import type { JSX } from "preact";
import type { GetPerformanceResponse, PerformanceDay } from "../../gen/api.ts";
import { figure, money, percent } from "../model/decimals.ts";
import {
  costsOf,
  dayPoints,
  groupByOf,
  lastDays,
  rangeOf,
  RANGES,
  type ShownDay,
  startOf,
  totalOf,
} from "../model/results.ts";
import { linkTo, type Route } from "../model/route.ts";
import { Time } from "../parts/age.tsx";
import { Amount } from "../parts/amount.tsx";
import { InstrumentChoice, LinkChoice } from "../parts/choices.tsx";
import { Facts } from "../parts/facts.tsx";
import { Panel } from "../parts/panel.tsx";
import { Absent, Empty } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { TimeChart } from "../parts/time_chart.tsx";
import { now } from "../store/clock.ts";
import { useRead } from "../store/readings.ts";
import type { Reading } from "../store/resource.ts";
import { Costs, PART_TITLES } from "./results_costs.tsx";
import { Divergence, Exports } from "./results_more.tsx";
import { JournalTrades } from "./results_trades.tsx";

export function Results({ at }: { at: Route }): JSX.Element {
  const range = rangeOf(at.query["range"]);
  const instrument = at.query["instrument"] ?? "";
  const from = startOf(range.days, now.value);
  const performance = useRead("/api/journal/performance", { from });
  const currency = useRead("/api/oanda/account").data?.currency ?? "home currency";
  if (performance.failure?.absent && !performance.data) return <NoJournal />;
  return (
    <>
      <Days currency={currency} />
      <div class="tools">
        <LinkChoice label="Range" at={at} name="range" value={range.name} of={RANGES.map((r) => [r.name, r.title])} />
        <InstrumentChoice at={at} />
        <span class="dim">Amounts are in {currency}. A trading day ends at 17:00 in New York.</span>
      </div>
      <div class="grid">
        <Panel title={`Performance, ${range.title.toLowerCase()}`} of={[performance]}>
          {performance.data && <Figures of={performance.data} />}
        </Panel>
        <DayCharts of={performance} />
        <Costs at={at} by={groupByOf(at.query["by"])} from={from} instrument={instrument} />
        <JournalTrades
          at={at}
          query={{ from, instrument: instrument || undefined, open: at.query["open"] ? true : undefined }}
        />
        <Exports from={from} instrument={instrument} />
        <Divergence currency={currency} />
      </div>
    </>
  );
}

function NoJournal(): JSX.Element {
  return (
    <Absent title="Results">
      <p>What a day earned and cost is computed by the journal service from the broker's ledger.</p>
      <p>
        Without it: the account's realised result is on the <a href={linkTo("overview")}>Overview</a>, and the broker's
        own statements have the rest.
      </p>
    </Absent>
  );
}

function Days({ currency }: { currency: string }): JSX.Element {
  const week = useRead("/api/journal/performance", { from: startOf(7, now.value) });
  const { today, yesterday } = lastDays(week.data?.days ?? []);
  return (
    <Panel title="What a day earned and cost" of={[week]} wide>
      <div class="days">
        {yesterday ? (
          <Day title="Yesterday" of={yesterday} currency={currency} />
        ) : (
          <section>
            <h3>Yesterday</h3>
            <Empty>The journal has no whole trading day yet: it ends at 17:00 in New York.</Empty>
          </section>
        )}
        {today && <Day title="Today so far" of={today} currency={currency} />}
      </div>
    </Panel>
  );
}

function Day({ title, of: { day, startMs }, currency }: { title: string; of: ShownDay; currency: string }): JSX.Element {
  const running = title !== "Yesterday";
  const to = running ? undefined : String(day.end_ms);
  const costs = useRead("/api/journal/costs", { from: String(startMs), to });
  const total = totalOf(costs.data?.costs ?? []);
  const parts = total?.parts;
  return (
    <section aria-label={title}>
      <h3>
        {title}{" "}
        <small>
          {running ? "until now" : "until"} <Time ms={day.end_ms} />
        </small>
      </h3>
      <p class="big num">
        <Amount text={day.pl} /> <small>{currency}</small>
      </p>
      <p class="dim">earned, the change of open profit included</p>
      <Facts
        of={[
          ["Return", percent(day.return, 2)],
          ["NAV at the end", money(day.nav)],
          ["Transfers", money(day.transfers)],
          ["Trades opened", costs.data ? (total?.trades ?? 0) : (costs.failure?.reason ?? "reading")],
          ["They cost, all together, once closed", parts ? <Amount text={costsOf(parts)} /> : "–"],
          ...(parts
            ? PART_TITLES.filter(([part]) => part !== "signal" && /[1-9]/.test(parts[part])).map(
                ([part, name]) => [`· ${name}`, <Amount key={part} text={parts[part]} />] as const,
              )
            : []),
        ]}
      />
    </section>
  );
}

function Figures({ of }: { of: GetPerformanceResponse }): JSX.Element {
  if (!of.days.length) return <Empty>The journal has no day in this range yet.</Empty>;
  return (
    <>
      <p class="big num">
        <Amount text={of.net_pl} />
      </p>
      <Facts
        of={[
          ["Time-weighted return", percent(of.time_weighted_return, 2)],
          ["Annualised return", percent(of.annual_return, 1)],
          ["Max drawdown", percent(of.max_drawdown, 2)],
          ["Sharpe", figure(of.sharpe)],
          ["Sortino", figure(of.sortino)],
          ["Calmar", figure(of.calmar)],
          ["Closed trades", of.trades],
          ["Win rate", percent(of.win_rate, 0)],
          ["Profit factor", figure(of.profit_factor)],
          ["Mean exposure, in NAVs", figure(of.exposure)],
          ["Time in market", percent(of.time_in_market, 0)],
          ["Transfers", money(of.transfers)],
        ]}
      />
      <p class="dim">A dash: too few days or trades for the figure.</p>
    </>
  );
}

function DayCharts({ of }: { of: Reading<GetPerformanceResponse> }): JSX.Element {
  const days = of.data?.days ?? [];
  const deepest = Math.min(0, ...days.map((d) => d.drawdown));
  return (
    <Panel title="Days" of={[of]} double>
      {days.length > 1 ? (
        <>
          <h3>Profit and loss by day</h3>
          <TimeChart label={`Profit and loss of ${days.length} days, in the table below`} points={dayPoints(days, "pl")} kind="bars" />
          <h3>Drawdown</h3>
          <TimeChart
            label={`Drawdown of ${days.length} days, the deepest ${percent(deepest, 2)}`}
            points={dayPoints(days, "drawdown")}
            kind="area"
            percent
          />
        </>
      ) : (
        <Empty>Two days or more make a chart.</Empty>
      )}
      {days.length > 0 && <DayTable of={days} />}
    </Panel>
  );
}

function DayTable({ of }: { of: readonly PerformanceDay[] }): JSX.Element {
  return (
    <details>
      <summary>Days as a table</summary>
      <Table
        caption="Days, newest first"
        rows={of.toReversed()}
        keyOf={(d) => String(d.end_ms)}
        columns={[
          { title: "Ends", cell: (d) => <Time ms={d.end_ms} /> },
          { title: "P&L", amount: (d) => d.pl },
          { title: "Return", num: true, cell: (d) => percent(d.return, 2) },
          { title: "Drawdown", num: true, cell: (d) => percent(d.drawdown, 2) },
          { title: "NAV", plain: true, amount: (d) => d.nav },
        ]}
      />
    </details>
  );
}
