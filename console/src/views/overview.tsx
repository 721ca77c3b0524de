/** Is the account safe, what is held, and what needs an operator. */

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { GetBudgetResponse, GetRiskLimitsResponse } from "../../gen/api.ts";
import type { Failure } from "../api/failure.ts";
import { heldNames, heldOf, sideOf } from "../model/account.ts";
import { money, percent, signed } from "../model/decimals.ts";
import { limitOf } from "../model/limits.ts";
import { factName, type Notice, noticesOf } from "../model/notices.ts";
import { dayPoints, lastDays, navCurve, startOf } from "../model/results.ts";
import { linkTo } from "../model/route.ts";
import { verdictOf } from "../model/verdict.ts";
import { Time } from "../parts/age.tsx";
import { Amount } from "../parts/amount.tsx";
import { Facts } from "../parts/facts.tsx";
import { Meter } from "../parts/meter.tsx";
import { Panel } from "../parts/panel.tsx";
import { Empty, FailureNote, Mark } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { TimeChart } from "../parts/time_chart.tsx";
import { now } from "../store/clock.ts";
import { navPoints, noteNav } from "../store/nav_history.ts";
import { useRead } from "../store/readings.ts";
import { useUnknownOrders } from "../store/unknown_orders.ts";
import { MarketHours } from "./market_hours.tsx";

/** Less of NAV than this, in seconds, is no curve yet. */
const SHORTEST_CURVE_S = 60;

export function Overview(): JSX.Element {
  const limits = useRead("/api/risk/limits");
  const budget = useRead("/api/risk/budget");
  return (
    <>
      <Headline />
      <div class="columns">
        <Account />
        <Notices />
        <HeldNow />
        <Curve />
        <Panel title="Exposure" of={[budget]}>
          {budget.data && <Exposure budget={budget.data} />}
        </Panel>
        <Panel title="Risk limits" of={[limits]}>
          {limits.data && <Limits of={limits.data} />}
        </Panel>
        <MarketHours />
      </div>
    </>
  );
}

function Headline(): JSX.Element {
  const status = useRead("/api/status");
  const killSwitch = useRead("/api/kill-switch");
  const readiness = useRead("/api/trade/readiness");
  const limits = useRead("/api/risk/limits");
  const positions = useRead("/api/oanda/positions");
  const verdict = verdictOf({
    status: status.data,
    killSwitch: killSwitch.data,
    readiness: readiness.failure ? undefined : readiness.data,
    limits: limits.data,
    held: positions.data && !positions.failure ? heldNames(positions.data.positions) : undefined,
    failure: status.failure,
  });
  return (
    <section class={`headline ${verdict.tone}`} aria-label="Is it trading" aria-live="polite">
      <strong>
        <Mark tone={verdict.tone} /> {verdict.title}
      </strong>
      <span>{verdict.detail}</span>
      <a href={linkTo("why")}>Why not?</a>
    </section>
  );
}

function Account(): JSX.Element {
  const account = useRead("/api/oanda/account");
  const limits = useRead("/api/risk/limits");
  const { data, at } = account;
  useEffect(() => {
    if (data && at !== undefined) noteNav(at, data.nav);
  }, [at]);
  const daily = limits.data?.limits.find((l) => l.limit === "daily_loss");
  const shown = daily && limitOf(daily, data);
  return (
    <Panel title="Account" of={[account]}>
      {data && (
        <>
          <p class="big num">
            {money(data.nav)} <small>{data.currency} NAV</small>
          </p>
          <Facts
            of={[
              ["Account number", data.id],
              ["Open profit", <Amount key="o" text={data.unrealized_pl} />],
              ["Realised, all time", <Amount key="r" text={data.pl} />],
              ["Balance", money(data.balance)],
              [
                "Loss since 17:00 New York",
                <>
                  {shown?.value ?? "–"} {shown?.amount && <small>{shown.amount}</small>}
                </>,
              ],
              ["Margin closeout (at 100 %)", percent(Number(data.margin_closeout_percent))],
            ]}
          />
        </>
      )}
    </Panel>
  );
}

/** NAV and profit of the last 30 days; without the journal, NAV as this tab saw it. */
function Curve(): JSX.Element {
  const account = useRead("/api/oanda/account");
  const history = useRead("/api/journal/performance", { from: startOf(30, now.value) });
  const days = history.data?.days ?? [];
  const curve = navCurve(days, navPoints());
  const [first, last] = [curve[0], curve.at(-1)];
  const drawn = first && last ? last.time - first.time >= SHORTEST_CURVE_S : false;
  const { today, yesterday } = lastDays(days);
  const without = history.data ? undefined : history.failure;
  return (
    <Panel title="NAV and days" of={without ? [account] : [history]} aside={<a href={linkTo("results")}>Results</a>}>
      {without && !without.absent && <FailureNote failure={without} />}
      <Facts
        of={[
          [
            "Today so far",
            today ? (
              <>
                <Amount text={today.day.pl} />{" "}
                <small>
                  as of <Time ms={today.day.end_ms} />
                </small>
              </>
            ) : (
              "–"
            ),
          ],
          ["Yesterday", yesterday ? <Amount key="y" text={yesterday.day.pl} /> : without ? "–" : "no whole day yet"],
        ]}
      />
      {first && drawn && (
        <TimeChart label={`NAV from ${first.value} to ${last?.value}`} points={curve} kind="line" />
      )}
      {days.length > 1 && (
        <TimeChart label={`Profit and loss of ${days.length} days`} points={dayPoints(days, "pl")} kind="bars" />
      )}
      <p class="dim">{captionOf(without, drawn, days.length > 1)}</p>
    </Panel>
  );
}

/** What the charts show, if there are any. */
function captionOf(without: Failure | undefined, nav: boolean, bars: boolean): string {
  if (without) {
    const why = `${without.absent ? "there is no journal" : "the journal does not answer"}, which remembers days.`;
    return nav ? `NAV since this tab was opened: ${why}` : `No curve of NAV yet: ${why} This tab draws what it saw itself, from a minute on.`;
  }
  const shown = [
    nav ? "NAV at the ends of trading days (17:00 in New York), then as this tab saw it" : "",
    bars ? "profit and loss by day" : "",
  ].filter(Boolean);
  if (shown.length) return `${shown.join("; ")}.`.replace(/^p/, "P");
  return "No chart yet: the first trading day that is known has not ended.";
}

function Exposure({ budget }: { budget: GetBudgetResponse }): JSX.Element {
  const used = budget.utilisation / budget.target_pct;
  return (
    <>
      <Meter
        label="Margin in use"
        value={`${percent(budget.utilisation)} of ${percent(budget.target_pct, 0)}`}
        used={used}
        tone={used > 1 ? "bad" : used > 0.9 ? "caution" : "good"}
      />
      <Facts
        of={[
          ["Margin used", money(budget.margin_used)],
          ["Margin available", money(budget.margin_available)],
          ["Budget for new positions", money(budget.budget)],
          ["Cap of one instrument", money(budget.per_instrument_cap)],
          [
            "Margin gate",
            <>
              <Mark tone={budget.margin_gate_open ? "good" : "caution"} />{" "}
              {budget.margin_gate_open ? "open" : "closed to entries"}
            </>,
          ],
        ]}
      />
    </>
  );
}

function Limits({ of }: { of: GetRiskLimitsResponse }): JSX.Element {
  const account = useRead("/api/oanda/account").data;
  return (
    <>
      {of.limits.map((l) => limitOf(l, account)).map((l) => (
        <Meter
          key={l.name}
          label={l.title}
          value={l.value}
          also={l.amount}
          used={l.used}
          tone={l.tone}
          note={l.state === "ok" ? "" : l.state}
        />
      ))}
      <p class="dim">Percentages are of NAV.</p>
    </>
  );
}

function HeldNow(): JSX.Element {
  const positions = useRead("/api/oanda/positions");
  const trades = useRead("/api/oanda/open-trades");
  const held = heldOf(positions.data?.positions ?? [], trades.data?.trades ?? [], undefined);
  return (
    <Panel title="Held now" of={[positions, trades]} aside={<a href={linkTo("positions")}>Positions</a>}>
      {held.length ? (
        <Table
          caption="What is held"
          rows={held}
          keyOf={(h) => h.instrument + h.units}
          columns={[
            {
              title: "Instrument",
              cell: (h) => (
                <>
                  <a href={linkTo("instrument", h.instrument)}>{h.instrument}</a> <small>{sideOf(h.units)}</small>
                </>
              ),
            },
            { title: "Units", num: true, cell: (h) => signed(h.units) },
            { title: "P&L", amount: (h) => h.unrealizedPl },
            { title: "Origin", cell: (h) => h.origin },
          ]}
        />
      ) : (
        <Empty>Flat: the broker reports no open position.</Empty>
      )}
    </Panel>
  );
}

function Notices(): JSX.Element {
  const status = useRead("/api/status");
  const limits = useRead("/api/risk/limits");
  const allocation = useRead("/api/risk/allocation-status");
  const readiness = useRead("/api/trade/readiness");
  const locks = useRead("/api/risk/locks");
  const young = useUnknownOrders(readiness.data?.readiness ?? []).filter((o) => o.onItsWay);
  const found = noticesOf({
    onTheirWay: new Set(young.map((o) => o.instrument)),
    status: status.data,
    limits: limits.data,
    allocation: allocation.data,
    readiness: readiness.data,
    locks: locks.data?.locks,
  });
  const oldest = oldestFact(status.data?.freshness ?? []);
  return (
    <Panel title="Needs attention" of={[status]} aside={<a href={linkTo("system")}>System</a>}>
      {found.length ? <NoticeList of={found} /> : <Empty>Nothing needs an operator.</Empty>}
      <p class="dim">{oldest}</p>
    </Panel>
  );
}

function NoticeList({ of }: { of: readonly Notice[] }): JSX.Element {
  return (
    <ul class="notices">
      {of.map((n) => (
        <li key={n.text}>
          <Mark tone={n.tone} /> {n.text}
          {n.runbook && <small> runbook: {n.runbook}</small>}
        </li>
      ))}
    </ul>
  );
}

function oldestFact(freshness: ReadonlyArray<{ name: string; age_seconds?: number }>): string {
  const known = freshness.filter((f) => f.age_seconds !== undefined);
  const oldest = known.toSorted((a, b) => (b.age_seconds ?? 0) - (a.age_seconds ?? 0))[0];
  if (!oldest) return "No fact has an age yet.";
  return `Oldest fact: ${factName(oldest.name)}, ${Math.round(oldest.age_seconds ?? 0)} s`;
}
