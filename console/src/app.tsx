/** The page: safety bar, navigation, one view. */

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { linkTo, type Route, VIEWS } from "./model/route.ts";
import { Dialogs } from "./parts/dialogs.tsx";
import { SafetyBar } from "./parts/safety_bar.tsx";
import { useCell } from "./store/cell.ts";
import { route } from "./store/route.ts";
import { Decisions } from "./views/decisions.tsx";
import { Instrument } from "./views/instrument.tsx";
import { Overview } from "./views/overview.tsx";
import { Positions } from "./views/positions.tsx";
import { Research } from "./views/research.tsx";
import { Results } from "./views/results.tsx";
import { System } from "./views/system.tsx";
import { WhyNot } from "./views/why_not.tsx";

export function App(): JSX.Element {
  const at = useCell(route);
  const title = VIEWS.find((v) => v.name === at.view)?.title ?? "Unknown page";
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  useEffect(() => {
    document.querySelector("nav a[aria-current=page]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    document.title = `${title} · SEP`;
    // A screen reader hears where it is now; on the first page it reads from the top anyway.
    if (!first.current) heading.current?.focus();
    first.current = false;
  }, [title]);
  return (
    <>
      <a class="skip" href={`#/${at.view}`} onClick={(e) => (e.preventDefault(), heading.current?.focus())}>
        Skip to the view
      </a>
      <header class="top">
        <SafetyBar />
        <nav aria-label="Views">
          {VIEWS.map((v) => (
            <a key={v.name} href={linkTo(v.name)} {...(v.name === at.view ? { "aria-current": "page" as const } : {})}>
              {v.title}
            </a>
          ))}
        </nav>
      </header>
      <main>
        <h1 ref={heading} tabIndex={-1}>
          {title}
          {at.part && (at.view === "decisions" ? <small> {at.part}</small> : ` · ${at.part}`)}
        </h1>
        <View at={at} />
      </main>
      <Dialogs />
    </>
  );
}

function View({ at }: { at: Route }): JSX.Element {
  switch (at.view) {
    case "overview":
      return <Overview />;
    case "why":
      return <WhyNot chosen={at.part} blockedOnly={at.query["only"] === "blocked"} />;
    case "instrument":
      return <Instrument key={at.part} instrument={at.part} />;
    case "decisions":
      return <Decisions at={at} />;
    case "positions":
      return <Positions />;
    case "results":
      return <Results at={at} />;
    case "research":
      return <Research />;
    case "system":
      return <System />;
    case "unknown":
      return (
        <p>
          There is no such view. <a href={linkTo("overview")}>Overview</a>
        </p>
      );
  }
}
