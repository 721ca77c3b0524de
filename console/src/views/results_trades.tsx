/** Trades as the journal has them, page by page. */

import type { JSX } from "preact";
import type { JournalTrade } from "../../gen/api.ts";
import type { Query } from "../api/client.ts";
import { grouped, signed } from "../model/decimals.ts";
import { wordsOf } from "../model/decisions.ts";
import { costsOf } from "../model/results.ts";
import { linkTo, type Route } from "../model/route.ts";
import { Time } from "../parts/age.tsx";
import { LinkChoice } from "../parts/choices.tsx";
import { PageButtons, usePages } from "../parts/pages.tsx";
import { Panel } from "../parts/panel.tsx";
import { Empty } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useRead } from "../store/readings.ts";

const PAGE_SIZE = 25;

interface Props {
  readonly title?: string;
  /** Where the choice of open trades leads; without one there is none. */
  readonly at?: Route;
  readonly query: Query<"/api/journal/trades">;
}

export function JournalTrades({ title = "Trades", at, query }: Props): JSX.Element {
  const pages = usePages(JSON.stringify(query));
  const trades = useRead("/api/journal/trades", { ...query, page_size: PAGE_SIZE, page_token: pages.token || undefined });
  const rows = trades.data?.trades ?? [];
  const choice = at && (
    <LinkChoice
      label="Which trades"
      at={at}
      name="open"
      value={query.open ? "1" : ""}
      of={[
        ["", "all"],
        ["1", "open"],
      ]}
    />
  );
  return (
    <Panel title={title} of={[trades]} aside={choice} wide>
      {rows.length ? <TradeTable of={rows} /> : <Empty>{query.from ? "No trade was opened in this range." : "No trade yet."}</Empty>}
      <PageButtons pages={pages} next={trades.data?.next_page_token} of="trades" />
    </Panel>
  );
}

function TradeTable({ of }: { of: readonly JournalTrade[] }): JSX.Element {
  return (
    <Table
      caption="Trades, newest first"
      rows={of}
      keyOf={(t) => t.id}
      columns={[
        { title: "Id", cell: (t) => t.id },
        { title: "Instrument", cell: (t) => <a href={linkTo("instrument", t.instrument)}>{t.instrument}</a> },
        { title: "Units", num: true, cell: (t) => signed(t.units) },
        { title: "Net", amount: (t) => t.net_pl },
        { title: "Signal", amount: (t) => t.parts?.signal },
        { title: "Costs", amount: (t) => costsOf(t.parts) },
        { title: "Opened", cell: (t) => <Time ms={t.open_time} /> },
        { title: "Closed", cell: (t) => closedText(t) },
        { title: "Open", num: true, cell: (t) => t.open_price || "–" },
        { title: "Close", num: true, cell: (t) => t.close_price || "–" },
        { title: "Exit", cell: (t) => <span class="num">{wordsOf(t.exit) || "–"}</span> },
        { title: "Origin", cell: (t) => (t.own ? "managed" : "by hand") },
        { title: "Decisions", cell: (t) => <DecisionLinks of={t.decision_ids} /> },
      ]}
    />
  );
}

function closedText(trade: JournalTrade): JSX.Element {
  if (trade.close_time === undefined) return <>open: {grouped(trade.open_units)}</>;
  return <Time ms={trade.close_time} />;
}

function DecisionLinks({ of }: { of: readonly string[] }): JSX.Element {
  if (!of.length) return <>–</>;
  return (
    <span class="links">
      {of.map((id, index) => (
        <a key={id} href={linkTo("decisions", id)} title={id}>
          {index === 0 ? "opened" : index === of.length - 1 ? "closed" : index + 1}
        </a>
      ))}
    </span>
  );
}
