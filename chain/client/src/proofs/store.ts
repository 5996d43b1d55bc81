import { decode, existenceRoot, expectEntry } from "./existence.ts";
import { simpleSpec } from "./specs.ts";
import { equalBytes, invalid } from "./support.ts";

/** As `abci_query` with `prove` returns it; CosmJS: `response.proof.ops`. */
export interface ProofOp {
  type: string;
  key: Uint8Array;
  data: Uint8Array;
}

/** The last step to the app hash: a store's root among all stores. Throws `invalid_proof`. */
export function verifyStore(op: ProofOp, storeName: string, root: Uint8Array, appHash: Uint8Array): void {
  const name = new TextEncoder().encode(storeName);
  if (op.type !== "ics23:simple" || !equalBytes(op.key, name)) throw invalid("the proof is of another store");
  const { exist } = decode(op.data);
  if (exist === undefined) throw invalid("the store is not proven");
  expectEntry(exist, name, root);
  if (!equalBytes(existenceRoot(simpleSpec, exist), appHash)) throw invalid("the proof leads to another app hash");
}
