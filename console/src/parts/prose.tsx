/** Texts of the stack: code between backticks, and values that break at their separators alone. */

import { Fragment, type JSX } from "preact";

/** A sentence whose parts between backticks are code. */
export function Prose({ text }: { text: string }): JSX.Element {
  return <>{text.split("`").map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</>;
}

/** A long value such as a list or a URL. */
export function Parted({ text }: { text: string }): JSX.Element {
  return (
    <>
      {text.split(/(?<=[,;:/|&?])/).map((part, index) => (
        <Fragment key={index}>
          {index > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </>
  );
}
