/** Instruments by groups of checks: which of them would enter now, and what holds the others back. */

import type { JSX } from "preact";
import { heldNames, heldOf } from "../model/account.ts";
import { type Check, GATE_REASONS, GROUPS, type Group, titleOf } from "../model/checks.ts";
import { figure, signed } from "../model/decimals.ts";
import { linkTo } from "../model/route.ts";
import { type Cell, commonReasons, remedyText, type Row, whyRows } from "../model/why.ts";
import { NotConfigured } from "../parts/not_configured.tsx";
import { Panel } from "../parts/panel.tsx";
import { Empty, Mark } from "../parts/states.tsx";
import { openDialog } from "../store/dialog.ts";
import { useRead } from "../store/readings.ts";

const TONES = { pass: "good", fail: "bad", unknown: "unknown" } as const;

export function WhyNot({ chosen, blockedOnly }: { chosen: string; blockedOnly: boolean }): JSX.Element {
  const readiness = useRead("/api/trade/readiness");
  const ranking = useRead("/api/ranking/active");
  const positions = useRead("/api/oanda/positions").data?.positions ?? [];
  const names = heldNames(positions);
  const held = heldOf(positions, [], undefined).filter((h) => h.instrument === chosen);
  const parameters = useRead("/api/parameters").data?.parameters;
  const all = whyRows(readiness.data?.readiness ?? [], ranking.data?.ranking ?? [], parameters);
  const rows = all.filter((r) => !blockedOnly || !r.ready);
  const shown = all.find((r) => r.instrument === chosen);
  const common = commonReasons(readiness.data?.readiness ?? []).slice(0, 4);
  const filter = linkTo("why", chosen, { only: blockedOnly ? "" : "blocked" });
  const ready = all.filter((r) => r.ready).map((r) => r.instrument);
  if (chosen && readiness.data && !shown) return <NotConfigured instrument={chosen} view="why" of={all.map((r) => r.instrument)} />;
  return (
    <>
      <div class="tools">
        <a href={filter}>{blockedOnly ? "Show all" : "Only those held back"}</a>
        <button type="button" onClick={() => openDialog({ kind: "reconcile" })}>
          Reconcile, dry run
        </button>
      </div>
      {ready.length > 0 && <p>An entry would pass in: {ready.join(", ")}.</p>}
      {common.length > 0 && (
        <p>
          Most often in the way: {common.map((c) => `${titleOf(c.reason)} (${c.count} of ${all.length})`).join(", ")}.
        </p>
      )}
      {shown && (
        <Panel title={`${shown.instrument}: ${shown.ready ? "an entry would pass" : "no entry now"}`} of={[readiness]} wide>
          {held.length > 0 && (
            <p>
              <strong>It is held:</strong> {held.map((h) => signed(h.units)).join(", ")} units, so the checks below are of a
              further entry. <a href={linkTo("positions")}>Positions</a>
            </p>
          )}
          <Detail row={shown} />
        </Panel>
      )}
      <Panel title="Checks" of={[readiness]} wide>
        {rows.length ? <Matrix rows={rows} chosen={chosen} held={names} /> : <Empty>No instrument fits.</Empty>}
      </Panel>
    </>
  );
}

interface MatrixProps {
  readonly rows: readonly Row[];
  readonly chosen: string;
  readonly held: ReadonlySet<string>;
}

function Matrix({ rows, chosen, held }: MatrixProps): JSX.Element {
  return (
    <div class="scroll" role="region" aria-label="Checks by instrument" tabIndex={0}>
      <table class="matrix">
        <caption class="hidden">Checks by instrument and group</caption>
        <thead>
          <tr>
            <th scope="col">Instrument</th>
            {GROUPS.map((g) => (
              <th key={g} scope="col">
                {g}
              </th>
            ))}
            <th scope="col">What would have to happen</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.instrument} class={row.instrument === chosen ? "chosen" : ""}>
              <th scope="row">
                <a href={linkTo("why", row.instrument)}>{row.instrument}</a>
                <small>
                  {held.has(row.instrument) && <strong>held, </strong>}
                  {row.direction}, {row.ready ? "ready" : `${row.failed} in the way`}
                </small>
              </th>
              {GROUPS.map((g) => (
                <td key={g} data-group={g} class={row.cells.get(g)?.verdict ?? "none"}>
                  <Brief group={g} cell={row.cells.get(g)} row={row} />
                </td>
              ))}
              <td class={`remedy ${row.ready ? "ready" : ""}`}>{remedyText(row.remedies) || nothingText(held.has(row.instrument))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What a row that would pass says; of what is held it is a further entry. */
function nothingText(held: boolean): string {
  return held ? "nothing: a further entry would pass" : "nothing: it would enter";
}

function Brief({ group, cell, row }: { group: Group; cell: Cell | undefined; row: Row }): JSX.Element {
  if (!cell) return <>–</>;
  const failed = cell.checks.filter((c) => !c.passed);
  const gate = group === "gate" && row.gateReasons.length ? row.gateReasons.map((r) => GATE_REASONS[r] ?? r) : [];
  const words = [...gate, ...failed.map((c) => `${c.title} ${c.distance || c.observed}`)];
  return (
    <>
      <Mark tone={TONES[cell.verdict]} />
      <span class="hidden">{cell.verdict}</span>
      {words.map((w) => (
        <small key={w}>{w}</small>
      ))}
    </>
  );
}

function Detail({ row }: { row: Row }): JSX.Element {
  return (
    <>
      <p>
        Score {figure(row.score)}, {row.direction}. <a href={linkTo("instrument", row.instrument)}>Chart and metrics</a>
      </p>
      {row.gateReasons.length > 0 && (
        <p>
          <Mark tone="bad" /> Gate closed: {row.gateReasons.map((r) => GATE_REASONS[r] ?? r).join("; ")}
        </p>
      )}
      {row.remedies.length > 0 && (
        <>
          <h3>What would have to happen</h3>
          <ol>
            {row.remedies.map((r) => (
              <li key={r}>{r}</li>
            ))}
          </ol>
        </>
      )}
      <h3>Every check</h3>
      <div class="checks">
        {[...row.cells]
          .flatMap(([, cell]) => cell.checks)
          .toSorted((a, b) => Number(a.passed) - Number(b.passed))
          .map((c) => (
            <OneCheck key={c.reason} check={c} />
          ))}
      </div>
    </>
  );
}

function OneCheck({ check }: { check: Check }): JSX.Element {
  return (
    <div class={`one-check ${check.passed ? "" : "failed"}`}>
      <span>
        <Mark tone={check.passed ? "good" : "bad"} /> {check.title}
        <span class="hidden">{check.passed ? "passes" : "fails"}</span>
      </span>
      <span class="num">{check.observed}</span>
      <span class="num dim">{check.allowed}</span>
      <span class="num">{check.distance}</span>
    </div>
  );
}
