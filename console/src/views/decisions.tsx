/** What was decided and why: a stream that can be searched, one decision in detail, two side by side. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { RecordedDecision } from "../../gen/api.ts";
import { titleOf } from "../model/checks.ts";
import { KINDS, repetition, spanOf, SPANS, spanStart, wordsOf } from "../model/decisions.ts";
import { linkTo, type Route } from "../model/route.ts";
import { Time } from "../parts/age.tsx";
import { changed, InstrumentChoice, LinkChoice, ListChoice } from "../parts/choices.tsx";
import { PageButtons, usePages } from "../parts/pages.tsx";
import { Panel } from "../parts/panel.tsx";
import { Absent, Empty } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useCell } from "../store/cell.ts";
import { now } from "../store/clock.ts";
import { eventsOpen, useRead } from "../store/readings.ts";
import { Compared, Detail } from "./decision.tsx";

const PAGE_SIZE = 50;

export function Decisions({ at }: { at: Route }): JSX.Element {
  const { instrument, kind, reason } = at.query;
  const from = spanStart(spanOf(at.query["span"]).hours, now.value);
  const filter = { from, instrument, kind, reason };
  const pages = usePages(JSON.stringify(filter));
  const decisions = useRead("/api/decisions", {
    ...filter,
    page_size: PAGE_SIZE,
    page_token: pages.token || undefined,
  });
  const events = useCell(eventsOpen);
  const other = at.query["with"];
  if (decisions.failure?.absent && !decisions.data) return <NoJournal />;
  const rows = decisions.data?.decisions ?? [];
  return (
    <>
      {at.part && (other ? <Compared at={at} left={at.part} right={other} /> : <Detail at={at} id={at.part} />)}
      <Filters at={at} />
      <Panel title="Decisions" of={[decisions]} wide>
        {rows.length ? <Stream at={at} of={rows} /> : <Empty>Nothing that fits was decided in this time.</Empty>}
        <PageButtons pages={pages} next={decisions.data?.next_page_token} of="decisions" />
        <p class="dim">
          A kind leads to the decision's inputs. {pages.number === 1 ? `New ones ${events ? "appear when they are made" : "are read every five seconds"}. ` : ""}
          Refusals of an instrument that follow each other for the same reasons are one line.
        </p>
      </Panel>
    </>
  );
}

function NoJournal(): JSX.Element {
  return (
    <Absent title="Decisions">
      <p>Every decision of the guard is recorded; searching them in here needs the journal service.</p>
      <p>
        What would happen now: <a href={linkTo("why")}>Why not</a>. The record itself: <code>sep-guard explain</code>.
      </p>
    </Absent>
  );
}

function Filters({ at }: { at: Route }): JSX.Element {
  const [reason, setReason] = useState(at.query["reason"] ?? "");
  const search = (event: Event): void => {
    event.preventDefault();
    location.hash = changed(at, { reason: reason.toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_").replaceAll(/^_|_$/g, "") });
  };
  return (
    <div class="tools">
      <LinkChoice
        label="Time"
        at={at}
        name="span"
        value={spanOf(at.query["span"]).name}
        of={SPANS.map((s) => [s.name, s.title] as const)}
      />
      <InstrumentChoice at={at} />
      <ListChoice
        label="Kind"
        at={at}
        name="kind"
        value={at.query["kind"] ?? ""}
        of={[["", "all"], ...KINDS.map((k) => [k, wordsOf(k)] as const)]}
      />
      <form class="search" onSubmit={search}>
        <label>
          Reason{" "}
          <input
            placeholder="such as SPREAD_WIDE"
            maxLength={60}
            value={reason}
            onInput={(e) => setReason(e.currentTarget.value)}
          />
        </label>{" "}
        <button type="submit">Search</button>
      </form>
      {Object.keys(at.query).length > 0 && <a href={linkTo("decisions", at.part)}>Clear</a>}
    </div>
  );
}

function Stream({ at, of }: { at: Route; of: readonly RecordedDecision[] }): JSX.Element {
  return (
    <Table
      caption="Decisions, newest first"
      rows={of}
      keyOf={(d) => `${d.id} ${d.event} ${d.ts_ms} ${d.instrument}`}
      columns={[
        { title: "Time", cell: (d) => <Time ms={d.ts_ms} /> },
        { title: "Kind", cell: (d) => <Kind at={at} of={d} /> },
        {
          title: "Instrument",
          cell: (d) => (d.instrument ? <a href={linkTo("instrument", d.instrument)}>{d.instrument}</a> : "account"),
        },
        { title: "Reasons", cell: (d) => <Reasons of={d.reasons} /> },
        { title: "Repeated", cell: (d) => repetition(d) || "–" },
        ...(at.part ? [{ title: "Compare", cell: (d: RecordedDecision) => <Compare at={at} of={d} /> }] : []),
      ]}
    />
  );
}

export function Reasons({ of }: { of: readonly string[] }): JSX.Element {
  if (!of.length) return <>–</>;
  return (
    <>
      {of.map((reason, index) => (
        <span key={reason} title={reason}>
          {index ? ", " : ""}
          {reasonText(reason)}
        </span>
      ))}
    </>
  );
}

/** A reason in words. Those of a risk event are sentences already. */
function reasonText(reason: string): string {
  const title = titleOf(reason);
  if (title !== reason || !/^[A-Z0-9_]+$/.test(reason)) return title;
  const words = wordsOf(reason);
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

/** Its kind, which leads to its inputs. */
function Kind({ at, of }: { at: Route; of: RecordedDecision }): JSX.Element {
  return (
    <a
      href={linkTo("decisions", of.id, { ...at.query, with: "" })}
      aria-label={`Inputs of this ${nameOf(of)}`}
      {...(of.id === at.part ? { "aria-current": "true" as const } : {})}
    >
      {kindText(of)}
    </a>
  );
}

function Compare({ at, of }: { at: Route; of: RecordedDecision }): JSX.Element | null {
  if (!at.part || at.part === of.id) return null;
  return (
    <a href={changed(at, { with: of.id })} aria-label={`Compare with this ${nameOf(of)}`}>
      compare
    </a>
  );
}

function nameOf(decision: RecordedDecision): string {
  return `${kindText(decision)} of ${decision.instrument || "the account"}`;
}

function kindText({ kind }: RecordedDecision): string {
  return wordsOf(kind);
}
