/** The dialog that is open. */

import type { JSX } from "preact";
import { CloseDialog } from "../actions/close.tsx";
import { DrainDialog } from "../actions/drain.tsx";
import { EngageDialog } from "../actions/engage.tsx";
import { FetchDialog } from "../actions/fetch.tsx";
import { FlattenDialog } from "../actions/flatten.tsx";
import { KeyDialog } from "../actions/key.tsx";
import { LockDialog } from "../actions/lock.tsx";
import { ReconcileDialog } from "../actions/reconcile.tsx";
import { ReleaseDialog } from "../actions/release.tsx";
import { useCell } from "../store/cell.ts";
import { dialog } from "../store/dialog.ts";
import { HelpDialog } from "./help.tsx";
import { Palette } from "./palette.tsx";
import { TermsDialog } from "./terms.tsx";

export function Dialogs(): JSX.Element | null {
  const open = useCell(dialog);
  switch (open?.kind) {
    case undefined:
      return null;
    case "engage":
      return <EngageDialog key="engage" />;
    case "release":
      return <ReleaseDialog key="release" />;
    case "flatten":
      return <FlattenDialog key="flatten" />;
    case "drain":
      return <DrainDialog key="drain" />;
    case "reconcile":
      return <ReconcileDialog key="reconcile" />;
    case "key":
      return <KeyDialog key="key" />;
    case "palette":
      return <Palette key="palette" />;
    case "help":
      return <HelpDialog key="help" />;
    case "terms":
      return <TermsDialog key="terms" />;
    case "lock":
    case "unlock":
      return <LockDialog key={open.kind} instrument={open.instrument} locked={open.kind === "lock"} />;
    case "close":
      return <CloseDialog key="close" instrument={open.instrument} />;
    case "fetch":
      return <FetchDialog key="fetch" instrument={open.instrument} />;
  }
}
