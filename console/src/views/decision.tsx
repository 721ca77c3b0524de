/** One recorded decision with its inputs and the outcomes of its orders, or two side by side. */

import type { JSX } from "preact";
import type { GetDecisionResponse } from "../../gen/api.ts";
import { checkOf } from "../model/checks.ts";
import {
  deedOf,
  type MadeAgain,
  madeAgain,
  mainRecord,
  type Members,
  membersOf,
  type Pair,
  pathOf,
  type RecordedCheck,
  recordedChecks,
  repetition,
  sections,
  sideBySide,
  type Step,
  timeOf,
  wordsOf,
} from "../model/decisions.ts";
import { grouped } from "../model/decimals.ts";
import { linkTo, type Route } from "../model/route.ts";
import { timeText } from "../model/times.ts";
import { Time } from "../parts/age.tsx";
import { changed } from "../parts/choices.tsx";
import { Panel } from "../parts/panel.tsx";
import { Empty, Mark } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";
import { useCell } from "../store/cell.ts";
import { now } from "../store/clock.ts";
import { zone } from "../store/preferences.ts";
import { useRead } from "../store/readings.ts";
import { Reasons } from "./decisions.tsx";

/** Sections that are open at first: the others are long. */
const OPEN = new Set(["decision", "action"]);

export function Detail({ at, id }: { at: Route; id: string }): JSX.Element {
  const decision = useRead("/api/decisions/{id}", { id });
  const { data } = decision;
  const where = useCell(zone);
  const time = useCell(now);
  const main = data && mainOf(data);
  const title = main ? `Decision: ${deedOf(main)}, ${timeText(main.ts_ms, where, time)}` : "Decision";
  const shut = <a href={linkTo("decisions", "", { ...at.query })}>Close</a>;
  return (
    <Panel title={title} of={[decision]} aside={shut} wide>
      {data && (
        <>
          <Head of={data} id={id} titled />
          <Checks of={recordedChecks(mainRecord(data))} />
          <Outcomes of={data} />
          <Again of={madeAgain(data)} />
          <Way of={pathOf(data)} />
          <details>
            <summary>Record and inputs, as they are stored</summary>
            <One of={membersOf(mainRecord(data))} />
          </details>
          <p class="dim">To compare it with another one, choose “compare” in the list below.</p>
        </>
      )}
    </Panel>
  );
}

export function Compared({ at, left, right }: { at: Route; left: string; right: string }): JSX.Element {
  const first = useRead("/api/decisions/{id}", { id: left });
  const second = useRead("/api/decisions/{id}", { id: right });
  const onlyDifferent = at.query["show"] !== "all";
  const links = (
    <span class="links">
      <a href={changed(at, { show: onlyDifferent ? "all" : "" })}>{onlyDifferent ? "Show all" : "Only differences"}</a>
      <a href={changed(at, { with: "", show: "" })}>Only the first</a>
    </span>
  );
  const pairs =
    first.data && second.data
      ? sideBySide(membersOf(mainRecord(first.data)), membersOf(mainRecord(second.data)))
      : [];
  const shown = pairs.filter((p) => p.differs || !onlyDifferent);
  return (
    <Panel title="Two decisions" of={[first, second]} aside={links} wide>
      <div class="days">
        {first.data && <Head of={first.data} id={left} />}
        {second.data && <Head of={second.data} id={right} />}
      </div>
      {shown.length ? (
        <Table
          caption="Two decisions side by side"
          rows={shown}
          keyOf={(p) => p.path}
          columns={[
            { title: "Member", cell: (p) => <code>{p.path}</code> },
            { title: "First", cell: (p) => p.left ?? "–" },
            { title: "Second", cell: (p) => p.right ?? "–" },
            { title: "", cell: (p) => (p.differs ? "≠" : "=") },
          ]}
        />
      ) : (
        <Empty>They do not differ.</Empty>
      )}
      <p class="dim">
        {pairs.filter((p) => p.differs).length} of {pairs.length} members differ.
      </p>
    </Panel>
  );
}

function mainOf({ decisions }: GetDecisionResponse): GetDecisionResponse["decisions"][number] | undefined {
  return decisions.find((d) => d.event !== "order") ?? decisions[0];
}

interface HeadProps {
  readonly of: GetDecisionResponse;
  readonly id: string;
  /** Whether the panel's title says already what it is. */
  readonly titled?: boolean;
}

function Head({ of, id, titled }: HeadProps): JSX.Element {
  const main = mainOf(of);
  if (!main) return <Empty>Nothing is recorded under {id}.</Empty>;
  return (
    <div>
      {!titled && (
        <p>
          <strong>{deedOf(main)}</strong> at <Time ms={main.ts_ms} />
        </p>
      )}
      <p>
        <Reasons of={main.reasons} /> <small>{repetition(main)}</small>{" "}
        <small>
          <code>{id}</code>
        </small>
      </p>
    </div>
  );
}

function Checks({ of }: { of: readonly RecordedCheck[] }): JSX.Element | null {
  if (!of.length) return null;
  const failed = of.filter((c) => !c.passed).length;
  return (
    <>
      <h3>
        Checks{" "}
        <small>
          {failed} of {of.length} failed
        </small>
      </h3>
      <Table
        caption="Checks of the decision, failed ones first"
        rows={of.map((c) => ({ ...checkOf(c), passed: c.passed }))}
        keyOf={(c) => c.reason}
        columns={[
          { title: "Check", cell: (c) => <span title={c.reason}>{c.title}</span> },
          { title: "Observed", num: true, cell: (c) => c.observed || "–" },
          { title: "Limit", num: true, cell: (c) => c.allowed || "–" },
          { title: "Distance", num: true, cell: (c) => c.distance || "–" },
          {
            title: "Result",
            cell: (c) => (
              <span class="num">
                <Mark tone={c.passed ? "good" : "bad"} /> {c.passed ? "passed" : "failed"}
              </span>
            ),
          },
        ]}
      />
    </>
  );
}

function Outcomes({ of }: { of: GetDecisionResponse }): JSX.Element | null {
  const orders = of.decisions
    .map((decision, index) => ({ decision, record: membersOf(of.records[index] ?? "{}") }))
    .filter(({ decision }) => decision.event === "order");
  if (!orders.length) return null;
  return (
    <>
      <h3>Orders</h3>
      <Table
        caption="Outcomes of its orders"
        rows={orders}
        keyOf={({ decision, record }) => `${record.get("client_order_id")} ${decision.ts_ms}`}
        columns={[
          { title: "Known at", cell: ({ decision }) => <Time ms={decision.ts_ms} /> },
          { title: "Outcome", cell: ({ record }) => record.get("outcome") ?? "–" },
          { title: "Units", num: true, cell: ({ record }) => grouped(record.get("units")) },
          { title: "Filled", num: true, cell: ({ record }) => grouped(record.get("filled_units")) },
          { title: "Price", num: true, cell: ({ record }) => record.get("fill_price") ?? "–" },
          { title: "Reason", cell: ({ record }) => record.get("reason") ?? "–" },
        ]}
      />
    </>
  );
}

/** Whether the guard decides the same again from the record; nothing where the journal does not say. */
function Again({ of }: { of: MadeAgain | undefined }): JSX.Element | null {
  if (!of || (of.same === undefined && !of.fault)) return null;
  if (of.fault) {
    return (
      <p>
        <Mark tone="unknown" /> It could not be recomputed: {of.fault}
      </p>
    );
  }
  return (
    <>
      <p>
        <Mark tone={of.same ? "good" : "bad"} /> Recomputed from its stored inputs: {of.same ? "same result" : "another result"}.
      </p>
      {of.differences.length > 0 && (
        <Table
          caption="What differs when it is recomputed"
          rows={of.differences}
          keyOf={(d) => d.name}
          columns={[
            { title: "Part", cell: (d) => <code>{d.name}</code> },
            { title: "Recorded", cell: (d) => <span class="wrap">{d.recorded}</span> },
            { title: "Recomputed", cell: (d) => <span class="wrap">{d.remade}</span> },
          ]}
        />
      )}
    </>
  );
}

function Way({ of }: { of: readonly Step[] }): JSX.Element | null {
  if (!of.length) return null;
  return (
    <>
      <h3>From the candle to the trade</h3>
      <Table
        caption="From the candle to the trade"
        rows={of}
        keyOf={(s) => `${s.step} ${s.id}`}
        columns={[
          { title: "Step", cell: (s) => wordsOf(s.step) },
          { title: "Id", cell: (s) => <code>{s.id}</code> },
          { title: "Time", cell: (s) => <Time ms={s.ts_ms} /> },
        ]}
      />
    </>
  );
}

function One({ of }: { of: Members }): JSX.Element {
  const rows = [...of].map(([path, left]) => ({ path, left, differs: false }));
  return (
    <>
      {[...sections(rows)].map(([section, members]) => (
        <details key={section} open={OPEN.has(section)}>
          <summary>
            {section} <small>{members.length}</small>
          </summary>
          <Rows of={members} caption={`Members of ${section}`} />
        </details>
      ))}
    </>
  );
}

function Rows({ of, caption }: { of: readonly Pair[]; caption: string }): JSX.Element {
  return (
    <Table
      caption={caption}
      rows={of}
      keyOf={(p) => p.path}
      columns={[
        { title: "Member", cell: (p) => <code>{p.path}</code> },
        { title: "Value", cell: (p) => <Value of={p} /> },
      ]}
    />
  );
}

/** A check says whether it passed by a shape, too. */
function Value({ of: { path, left } }: { of: Pair }): JSX.Element {
  const ms = timeOf(path, left ?? "");
  if (ms !== undefined) {
    return (
      <>
        <Time ms={ms} /> <small>{left}</small>
      </>
    );
  }
  if (!path.endsWith(".passed")) return <span class="num wrap">{left}</span>;
  return (
    <>
      <Mark tone={left === "true" ? "good" : "bad"} /> {left === "true" ? "passed" : "failed"}
    </>
  );
}
