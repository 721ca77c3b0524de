/** A titled part of a view, with the age of what it shows and a designed state for each fault. */

import type { ComponentChildren, JSX } from "preact";
import { useCell } from "../store/cell.ts";
import { now } from "../store/clock.ts";
import type { Reading } from "../store/resource.ts";
import { Age } from "./age.tsx";
import { FailureNote, Loading } from "./states.tsx";

interface Props {
  readonly title: string;
  /** What the panel shows; the oldest gives its age. */
  readonly of: ReadonlyArray<Reading<unknown>>;
  /** What stands beside the title. */
  readonly aside?: ComponentChildren;
  /** As wide as the page. */
  readonly wide?: boolean;
  /** Two columns where there are three. */
  readonly double?: boolean;
  readonly children: ComponentChildren;
}

export function Panel({ title, of, aside, wide, double, children }: Props): JSX.Element {
  const time = useCell(now);
  const id = `panel-${title.toLowerCase().replace(/\W+/g, "-")}`;
  const failure = of.find((r) => r.failure)?.failure;
  const loading = of.some((r) => r.data === undefined);
  const oldest = loading ? undefined : Math.min(...of.map((r) => r.at ?? 0));
  const everyMs = Math.max(0, ...of.map((r) => r.everyMs));
  const stale = oldest !== undefined && time - oldest > 3 * everyMs + 2000;
  return (
    <section class={`panel${wide ? " wide" : ""}${double ? " double" : ""}${stale ? " stale" : ""}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {aside}
        {of.length > 0 && <Age at={oldest} stale={stale} />}
      </header>
      {failure && <FailureNote failure={failure} />}
      {loading ? !failure && <Loading /> : <div class="body">{children}</div>}
    </section>
  );
}
