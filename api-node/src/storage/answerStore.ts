import { createHash } from "node:crypto";
import type { AnswerStore, StoredAnswer } from "../transferAgent/idempotency.ts";
import type { NodeDatabase } from "./database.ts";

interface Row extends StoredAnswer {
  readonly at: string;
}

/** Answers by idempotency key, on disk. A client's key may be longer than one of the database. */
export function answerStore(database: NodeDatabase): AnswerStore {
  const rows = database.open<Row>("answers");
  const keyOf = (at: string): string => createHash("sha256").update(at).digest("hex");
  return {
    *load() {
      for (const { value } of rows.getRange()) yield [value.at, value] as const;
    },
    put: async (at, kept) => await rows.put(keyOf(at), { at, ...kept }),
    delete: (at) => void rows.remove(keyOf(at)),
  };
}
