/** A table that scrolls sideways where it is too narrow. */

import type { ComponentChildren, JSX } from "preact";
import { decimalsOf, money } from "../model/decimals.ts";
import { Amount } from "./amount.tsx";

interface CellColumn<Row> {
  readonly title: string;
  readonly num?: boolean;
  readonly cell: (row: Row) => ComponentChildren;
}

/** Amounts of the home currency; all of a column have as many decimals. */
interface AmountColumn<Row> {
  readonly title: string;
  readonly amount: (row: Row) => string | undefined;
  /** Without a plus and a colour: it is no gain or loss. */
  readonly plain?: boolean;
}

type Column<Row> = CellColumn<Row> | AmountColumn<Row>;

interface Props<Row> {
  readonly caption: string;
  readonly rows: readonly Row[];
  readonly columns: ReadonlyArray<Column<Row>>;
  readonly keyOf: (row: Row) => string;
}

export function Table<Row>({ caption, rows, columns: given, keyOf }: Props<Row>): JSX.Element {
  const columns = given.map((c) => ("amount" in c ? amounts(c, rows) : c));
  return (
    <div class="scroll" role="region" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((c) => (
              <th key={c.title} scope="col" class={c.num ? "num" : ""}>
                {c.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map((c) => (
                <td key={c.title} class={c.num ? "num" : ""}>
                  {c.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function amounts<Row>({ title, amount, plain }: AmountColumn<Row>, rows: readonly Row[]): CellColumn<Row> {
  const decimals = decimalsOf(rows.map(amount));
  const cell = (row: Row): ComponentChildren => {
    const text = amount(row) ?? "";
    return plain ? money(text, decimals) : <Amount text={text} decimals={decimals} />;
  };
  return { title, num: true, cell };
}
