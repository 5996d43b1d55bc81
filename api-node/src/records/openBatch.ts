import { sha256 } from "@karat/common";
import { inference, type OpenBatch, statementOf } from "@karat/proto";
import type { OutboxEntry } from "./outbox.ts";

const NONE = new Uint8Array();

/** What a transaction has to record, and the entries in the order of their places there. */
export function openBatchOf<E extends OutboxEntry>(
  entries: readonly E[],
  chainId: string,
  by: Pick<OpenBatch, "sender" | "operator">,
): { readonly batch: OpenBatch; readonly order: readonly E[] } {
  const of = (kind: E["kind"]) => entries.filter((entry) => entry.kind === kind);
  const deliveries = of("delivery").map((entry) => ({ entry, record: inference.DeliveryRecord.decode(entry.record) }));
  const whole = deliveries.filter(({ entry, record }) => entry.agrees === true && record.complete);
  const part = deliveries.filter(({ entry, record }) => entry.agrees === true && !record.complete);
  const other = deliveries.filter(({ entry }) => entry.agrees !== true);
  const finishes = of("finish");
  const started = of("start").map((entry) => ({ entry, record: inference.StartRecord.decode(entry.record) }));
  // A part has to find the start of its order.
  const starts = [
    ...started.filter(({ record }) => record.prefix === undefined),
    ...started.filter(({ record }) => record.prefix !== undefined),
  ];
  return {
    batch: {
      ...by,
      starts: starts.map(({ record }) => record),
      finishes: finishes.map(({ record }) => finishOf(chainId, inference.FinishRecord.decode(record))),
      delivered: whole.map(({ entry }) => entry.inferenceId),
      deliveredInPart: part.map(({ entry }) => entry.inferenceId),
      deliveries: other.map(({ record }) => (record.response.length > 0 ? { ...record, root: NONE } : record)),
    },
    order: [
      ...starts.map(({ entry }) => entry),
      ...finishes,
      ...[...whole, ...part, ...other].map(({ entry }) => entry),
    ],
  };
}

function finishOf(chainId: string, record: inference.FinishRecord) {
  const inline = record.output.length + record.tokenIds.length + record.artifact.length > 0;
  return { record, root: sha256(statementOf(chainId, record)), inline };
}
