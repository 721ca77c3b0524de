/** Choices that are part of the address, so that what is shown can be shared. */

import type { JSX } from "preact";
import { linkTo, type Route, type ViewName } from "../model/route.ts";
import { useRead } from "../store/readings.ts";

/** The address of the same view with some of its query changed; empty values are left out. */
export function changed({ view, part, query }: Route, changes: Record<string, string>): string {
  return linkTo(view as ViewName, part, { ...query, ...changes });
}

interface ChoiceProps {
  readonly label: string;
  readonly at: Route;
  /** Member of the query. */
  readonly name: string;
  readonly value: string;
  readonly of: ReadonlyArray<readonly [value: string, title: string]>;
}

/** A few values as links. */
export function LinkChoice({ label, at, name, value, of }: ChoiceProps): JSX.Element {
  return (
    <span class="links" role="group" aria-label={label}>
      {of.map(([one, title]) => (
        <a key={one} href={changed(at, { [name]: one })} {...(one === value ? { "aria-current": "true" as const } : {})}>
          {title}
        </a>
      ))}
    </span>
  );
}

/** Many values as a list. */
export function ListChoice({ label, at, name, value, of }: ChoiceProps): JSX.Element {
  return (
    <label class="filter">
      {label}{" "}
      <select value={value} onChange={(e) => (location.hash = changed(at, { [name]: e.currentTarget.value }))}>
        {of.map(([one, title]) => (
          <option key={one} value={one}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

/** An instrument, or all of them. */
export function InstrumentChoice({ at }: { at: Route }): JSX.Element {
  const pairs = useRead("/api/pairs");
  const value = at.query["instrument"] ?? "";
  const names = (pairs.data?.pairs ?? []).map((p) => p.instrument);
  const all = names.includes(value) || !value ? names : [value, ...names];
  return (
    <ListChoice
      label="Instrument"
      at={at}
      name="instrument"
      value={value}
      of={[["", "all"], ...all.map((n) => [n, n] as const)]}
    />
  );
}
