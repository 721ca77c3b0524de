/** What the console's words mean. The texts are loaded when they are asked for. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Footer } from "../actions/parts.tsx";
import { openDialog } from "../store/dialog.ts";
import { Modal } from "./modal.tsx";
import { Loading } from "./states.tsx";

type Terms = ReadonlyArray<readonly [term: string, meaning: string]>;

export function TermsDialog(): JSX.Element {
  const [terms, set] = useState<Terms>();
  const [failed, fail] = useState(false);
  useEffect(() => {
    import("./glossary.ts").then(
      ({ TERMS }) => set(TERMS),
      () => fail(true),
    );
  }, []);
  return (
    <Modal title="Terms">
      {failed ? <p role="alert">The terms can't be loaded: the stack does not answer.</p> : !terms && <Loading />}
      {terms && (
        <dl class="keys terms">
          {terms.map(([term, meaning]) => (
            <div key={term}>
              <dt>{term}</dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
      )}
      <Footer cancel="Close">
        <button type="button" onClick={() => openDialog({ kind: "help" })}>
          Keys…
        </button>
      </Footer>
    </Modal>
  );
}
