/** A plan of closes, or what came of it. */

import type { JSX } from "preact";
import type { DrainClose } from "../../gen/api.ts";
import { grouped } from "../model/decimals.ts";
import { Empty } from "../parts/states.tsx";
import { Table } from "../parts/table.tsx";

export function Closes({ of, caption }: { of: readonly DrainClose[]; caption: string }): JSX.Element {
  if (!of.length) return <Empty>Nothing to close.</Empty>;
  return (
    <Table
      caption={caption}
      rows={of}
      keyOf={(c) => c.instrument + c.client_order_id}
      columns={[
        { title: "Instrument", cell: (c) => c.instrument },
        { title: "Held", num: true, cell: (c) => grouped(c.current_units) },
        { title: "Close", num: true, cell: (c) => grouped(c.close_units) },
        { title: "Frees", plain: true, amount: (c) => c.margin_freed },
        { title: "Why", cell: (c) => c.reason.toLowerCase().replaceAll("_", " ") },
        { title: "Order", cell: (c) => [c.order_state || "planned", c.order_reason].filter(Boolean).join(": ") },
      ]}
    />
  );
}
