/** The broker's truth: positions, their trades and brackets, what is not ours, what is not known. */

import type { JSX } from "preact";
import type { LeftOut, Trade } from "../../gen/api.ts";
import { type Held, heldOf, isManaged, sideOf } from "../model/account.ts";
import { money, signed, sum } from "../model/decimals.ts";
import { linkTo } from "../model/route.ts";
import { brokerTime } from "../model/times.ts";
import { Time } from "../parts/age.tsx";
import { Amount } from "../parts/amount.tsx";
import { Panel } from "../parts/panel.tsx";
import { Empty, Mark } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { openDialog } from "../store/dialog.ts";
import { useRead } from "../store/readings.ts";
import { useUnknownOrders } from "../store/unknown_orders.ts";

export function Positions(): JSX.Element {
  const positions = useRead("/api/oanda/positions");
  const trades = useRead("/api/oanda/open-trades");
  const pricing = useRead("/api/oanda/pricing");
  const readiness = useRead("/api/trade/readiness");
  const held = heldOf(positions.data?.positions ?? [], trades.data?.trades ?? [], pricing.data);
  const metrics = useRead("/metrics");
  const unknown = useUnknownOrders(readiness.data?.readiness ?? [], metrics.data);
  const leftOut = [...(positions.data?.left_out ?? []), ...(trades.data?.left_out ?? [])];
  return (
    <>
      <div class="tools">
        <button type="button" onClick={() => openDialog({ kind: "drain" })}>
          Drain…
        </button>
        <button class="danger" type="button" onClick={() => openDialog({ kind: "flatten" })}>
          Flatten…
        </button>
        <span class="dim">Each shows its plan first, as does Close… of one position.</span>
      </div>
      {leftOut.length > 0 && <Unreadable of={leftOut} />}
      <Panel title="Positions" of={[positions, trades]} wide>
        {held.length ? <HeldTable of={held} /> : <Empty>Flat: the broker reports no open position.</Empty>}
      </Panel>
      <Panel title="Trades and their brackets" of={[trades]} wide>
        {trades.data?.trades.length ? <TradeTable of={trades.data.trades} /> : <Empty>No open trade.</Empty>}
      </Panel>
      <Panel title="Orders without an answer" of={[readiness]} wide>
        {unknown.length ? (
          <ul class="notices">
            {unknown.map((r) => (
              <li key={r.instrument}>
                <Mark tone={r.onItsWay ? "unknown" : "bad"} /> {r.instrument}:{" "}
                {r.onItsWay
                  ? "an order is on its way."
                  : "answer unknown. The order is looked up, and no entry passes meanwhile."}
              </li>
            ))}
          </ul>
        ) : (
          <Empty>None.</Empty>
        )}
      </Panel>
    </>
  );
}

function HeldTable({ of }: { of: readonly Held[] }): JSX.Element {
  return (
    <>
      <Table
        caption="Positions"
        rows={of}
        keyOf={(h) => h.instrument + h.units}
        columns={[
          { title: "Instrument", cell: (h) => <a href={linkTo("instrument", h.instrument)}>{h.instrument}</a> },
          { title: "Side", cell: (h) => sideOf(h.units) },
          { title: "Units", num: true, cell: (h) => signed(h.units) },
          { title: "Average", num: true, cell: (h) => h.averagePrice || "–" },
          { title: "Bid", num: true, cell: (h) => h.quote?.bid || "–" },
          { title: "Ask", num: true, cell: (h) => h.quote?.ask || "–" },
          { title: "P&L", amount: (h) => h.unrealizedPl },
          { title: "Margin", plain: true, amount: (h) => h.marginUsed },
          { title: "Origin", cell: (h) => <Origin of={h} /> },
          { title: "Stops", cell: (h) => <Stops of={h} /> },
          { title: "", cell: (h) => <CloseButton of={h} /> },
        ]}
      />
      <p>
        Together <Amount text={sum(of.map((h) => h.unrealizedPl))} />, margin{" "}
        <span class="num">{money(sum(of.map((h) => h.marginUsed)))}</span>
      </p>
    </>
  );
}

function CloseButton({ of }: { of: Held }): JSX.Element {
  return (
    <button
      type="button"
      aria-label={`Close ${of.instrument}`}
      onClick={() => openDialog({ kind: "close", instrument: of.instrument })}
    >
      Close…
    </button>
  );
}

function Origin({ of }: { of: Held }): JSX.Element {
  return (
    <>
      <Mark tone={of.origin === "managed" ? "good" : "caution"} /> {of.origin}
    </>
  );
}

function Stops({ of }: { of: Held }): JSX.Element {
  if (of.unprotected) {
    return (
      <>
        <Mark tone="bad" /> {of.unprotected} without a stop
      </>
    );
  }
  return of.origin === "by hand" ? <>not ours</> : <>in place</>;
}

function TradeTable({ of }: { of: readonly Trade[] }): JSX.Element {
  return (
    <Table
      caption="Open trades"
      rows={of}
      keyOf={(t) => t.id}
      columns={[
        { title: "Id", cell: (t) => t.id },
        { title: "Instrument", cell: (t) => <a href={linkTo("instrument", t.instrument)}>{t.instrument}</a> },
        { title: "Opened", cell: (t) => <Time ms={brokerTime(t.open_time)} /> },
        { title: "Side", cell: (t) => sideOf(t.current_units) },
        { title: "Units", num: true, cell: (t) => signed(t.current_units) },
        { title: "Price", num: true, cell: (t) => t.price },
        { title: "Stop", num: true, cell: (t) => bracket(t.stop_loss_price, t.stop_loss_state) },
        { title: "Target", num: true, cell: (t) => bracket(t.take_profit_price, t.take_profit_state) },
        { title: "P&L", amount: (t) => t.unrealized_pl },
        { title: "Origin", cell: (t) => (isManaged(t) ? "managed" : "by hand") },
      ]}
    />
  );
}

function bracket(price: string, state: string): string {
  if (!price) return "none";
  return state === "PENDING" || !state ? price : `${price} (${state.toLowerCase()})`;
}

function Unreadable({ of }: { of: readonly LeftOut[] }): JSX.Element {
  return (
    <div class="fault" role="status">
      <Mark tone="bad" /> <strong>Not all can be read:</strong>{" "}
      {of.map((l) => `${l.instrument} ${l.name}: ${l.fault}`).join("; ")}
    </div>
  );
}
