/** Views of parts that an installation may not have. */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { probe } from "../api/client.ts";
import { asFailure, type Failure } from "../api/failure.ts";
import { linkTo } from "../model/route.ts";
import { Absent, FailureNote, Loading } from "../parts/states.tsx";

export function Decisions(): JSX.Element {
  return (
    <NeedsRoute path="/api/decisions?page_size=1" title="Decisions">
      <p>Every decision of the guard is recorded; searching them in here needs the journal service.</p>
      <p>
        What would happen now: <a href={linkTo("why")}>Why not</a>. The record itself: <code>sep-guard explain</code>.
      </p>
    </NeedsRoute>
  );
}

export function Results(): JSX.Element {
  return (
    <NeedsRoute path="/api/journal/performance" title="Results">
      <p>What a day earned and cost is computed by the journal service from the broker's ledger.</p>
      <p>
        Without it: the account's realised result is on the <a href={linkTo("overview")}>Overview</a>, and the broker's
        own statements have the rest.
      </p>
    </NeedsRoute>
  );
}

export function Research(): JSX.Element {
  return (
    <Absent title="Research">
      <p>Runs, folds and verdicts are files of the research commands; no service of this stack serves them.</p>
    </Absent>
  );
}

interface Props {
  readonly path: string;
  readonly title: string;
  readonly children: ComponentChildren;
}

/** Asks once: the stack's own document says which routes it has, and the route whether it works. */
function NeedsRoute({ path, title, children }: Props): JSX.Element {
  const [answer, setAnswer] = useState<Failure | "served" | "absent" | undefined>();
  useEffect(() => {
    ask(path).then(setAnswer, (error: unknown) => setAnswer(asFailure(error)));
  }, [path]);
  if (answer === undefined) return <Loading />;
  if (answer === "absent") return <Absent title={title}>{children}</Absent>;
  if (answer === "served") {
    return (
      <div class="absent">
        <h2>{title}: not shown here yet</h2>
        <p>
          The journal serves them at <code>{path.split("?")[0]}</code>; <a href="/docs">the API's page</a> describes it.
        </p>
      </div>
    );
  }
  return (
    <>
      <FailureNote failure={answer} />
      {answer.status === 503 && <Absent title={title}>{children}</Absent>}
    </>
  );
}

async function ask(path: string): Promise<"served" | "absent"> {
  const document = (await probe("/openapi.json")) as { paths?: Record<string, unknown> };
  if (!document.paths?.[path.split("?")[0] ?? ""]) return "absent";
  try {
    await probe(path);
  } catch (error) {
    if (asFailure(error).absent) return "absent";
    throw error;
  }
  return "served";
}
