/** Folds, heatmap and null runs of one instrument of one run. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { figure, percent } from "../model/decimals.ts";
import { binsOf, daysOf, type Heatmap, type Judged, type Run, setText } from "../model/run.ts";
import { Panel } from "../parts/panel.tsx";
import { Empty } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";

interface Props {
  readonly name: string;
  readonly run: Run;
  readonly of: Judged;
}

/** From which day to which; a line may end between the days, not in them. */
export function Days({ of }: { of: Parameters<typeof daysOf>[0] }): JSX.Element {
  const [from, to] = daysOf(of).split(" to ");
  return (
    <>
      <span class="num">{from}</span> to <span class="num">{to}</span>
    </>
  );
}

export function Folds({ name, run, of }: Props): JSX.Element {
  return (
    <Panel title={`Folds of ${name}`} of={[]} wide>
      <Table
        caption={`Folds of ${name}`}
        rows={of.folds}
        keyOf={(f) => f.test_from}
        columns={[
          { title: "Test window", cell: (f) => <Days of={f} /> },
          { title: "Chosen in training", cell: (f) => (f.chosen ? setText(run, f.chosen.params) : "none had evidence") },
          { title: "Training t", num: true, cell: (f) => figure(f.chosen?.train_t ?? undefined) },
          { title: "Test trades", num: true, cell: (f) => f.chosen?.test_trades ?? "–" },
          { title: "Return", num: true, cell: (f) => percent(f.chosen?.test_return, 3) },
          { title: "Drawdown", num: true, cell: (f) => percent(f.chosen?.test_drawdown, 3) },
          { title: "Calmar", num: true, cell: (f) => figure(f.chosen?.test_calmar ?? undefined) },
        ]}
      />
    </Panel>
  );
}

/** Colour goes with the figure in each cell: blue above 0, orange below. */
export function HeatmapTable({ name, run, of }: Props): JSX.Element {
  const [pair, choose] = useState(0);
  const map = of.heatmaps[pair];
  return (
    <Panel title={`Heatmap of ${name}`} of={[]}>
      {map ? (
        <>
          {of.heatmaps.length > 1 && (
            <label class="filter">
              Parameters{" "}
              <select value={pair} onChange={(e) => choose(Number(e.currentTarget.value))}>
                {of.heatmaps.map((m, i) => (
                  <option key={i} value={i}>
                    {m.across}, {m.down}
                  </option>
                ))}
              </select>
            </label>
          )}
          <Cells of={map} run={run} winner={of.verdict.params} />
          <p class="dim">Median t-statistic out of sample over all other parameters. ◆ is the best set; – had no evidence.</p>
        </>
      ) : (
        <Empty>Fewer than two parameters varied.</Empty>
      )}
    </Panel>
  );
}

function Cells({ of, run, winner }: { of: Heatmap; run: Run; winner: Judged["verdict"]["params"] }): JSX.Element {
  const columns = run.space[of.across] ?? [];
  const most = Math.max(1e-9, ...of.t.flat().map((t) => Math.abs(t ?? 0)));
  return (
    <div class="scroll" role="region" aria-label={`t-statistic by ${of.across} and ${of.down}`} tabIndex={0}>
      <table class="heat">
        <thead>
          <tr>
            <th scope="col">
              {of.down} ↓ {of.across} →
            </th>
            {columns.map((c) => (
              <th key={c} scope="col" class="num">
                {c}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {(run.space[of.down] ?? []).map((d, j) => (
            <tr key={d}>
              <th scope="row">{d}</th>
              {columns.map((a, i) => {
                const t = of.t[j]?.[i] ?? null;
                const best = winner[of.across] === a && winner[of.down] === d;
                const tone = t === null || t < 0 ? "caution" : "accent";
                const strength = Math.round((Math.abs(t ?? 0) / most) * 45);
                return (
                  <td
                    key={a}
                    class="num"
                    title={`${of.across} ${a}, ${of.down} ${d}: ${figure(t ?? undefined, 4)}`}
                    style={{ background: `color-mix(in srgb, var(--${tone}) ${strength}%, var(--panel))` }}
                  >
                    {best && (
                      <span role="img" aria-label="best set">
                        ◆{" "}
                      </span>
                    )}
                    {figure(t ?? undefined)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Nulls({ name, run, of: { verdict } }: Props): JSX.Element {
  const bins = binsOf(run.null_best, verdict.t);
  const most = Math.max(1, ...bins.map((b) => b.runs));
  return (
    <Panel title={`Null runs of ${name}`} of={[]}>
      {bins.length ? (
        <>
          <Table
            caption={`Null runs of ${name}`}
            rows={bins}
            keyOf={(b) => String(b.from)}
            columns={[
              { title: "Best t-statistic", cell: (b) => <span class="num">{`${figure(b.from)} to ${figure(b.to)}`}</span> },
              { title: "Null runs", num: true, cell: (b) => b.runs },
              {
                title: "",
                cell: (b) => (
                  <div class="bin">
                    <div style={{ width: `${(b.runs / most) * 100}%` }} />
                    {b.winner && <strong>◆ the winner</strong>}
                  </div>
                ),
              },
            ]}
          />
          <p class="dim">What the same search finds where there is nothing to find, the best over all instruments.</p>
        </>
      ) : (
        <Empty>No null run: nothing shows what luck alone gives.</Empty>
      )}
    </Panel>
  );
}
