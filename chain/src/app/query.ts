import { isKaratError, KaratError, type Logger, messageOf } from "@karat/common";
import type { RequestQuery, ResponseQuery } from "cosmjs-types/tendermint/abci/types";
import { Members } from "../store/buckets.ts";
import type { TreeCommitStore } from "../store/index.ts";
import { StoredValues } from "../store/storedValues.ts";
import type { CommitStore, Reader } from "../store/types.ts";
import { meteredContext } from "./context.ts";
import { ChainError, isChainError, SDK } from "./errors.ts";
import { LimitedGas, QUERY_GAS_LIMIT } from "./gas.ts";
import type { Router } from "./router.ts";
import { State, type StateSource } from "./state.ts";
import { lastBlock } from "./system.ts";

export interface QueryDeps {
  readonly store: CommitStore;
  /** Of the same store. */
  readonly committed: StateSource;
  readonly router: Router;
  readonly log: Logger;
  readonly chainId: string;
}

const NOTHING = new Uint8Array();

/**
 * Answers `/<service>/<method>` by the modules and `/store/<name>/key` by the store itself, with an ICS-23 proof where one
 * is asked for. Never throws: whatever goes wrong is a code, and a bug here harms nobody but the one who asks.
 */
export function answerQuery(request: RequestQuery, deps: QueryDeps): ResponseQuery {
  const height = request.height === 0n ? deps.store.height() : request.height;
  try {
    const proven = storeQuery(request, deps, height);
    if (proven !== undefined) return proven;
    const handler = deps.router.query(request.path);
    if (handler === undefined) throw new ChainError(SDK.unknownRequest, `unknown query path: ${request.path}`);
    if (request.prove) throw new ChainError(SDK.invalidRequest, "only /store/<name>/key is proven");
    // The branch takes what a handler might write and is dropped.
    const state = new State(stateAt(deps, height));
    const ctx = meteredContext(lastBlock(state, deps.chainId), state, new LimitedGas(QUERY_GAS_LIMIT), []);
    return answer(height, NOTHING, handler(ctx, request.data));
  } catch (error) {
    return refusal(error, height, request, deps.log);
  }
}

/** The last committed state, or that of an earlier height where the store keeps it. Throws `height_unavailable`. */
function stateAt({ store, committed }: QueryDeps, height: bigint): StateSource {
  if (height === store.height()) return committed;
  const earlier: CommitStore & Partial<Pick<TreeCommitStore, "readerAt">> = store;
  if (earlier.readerAt === undefined) {
    throw new KaratError("height_unavailable", "this store keeps the last height only", { height });
  }
  return { reader: (name) => new Members(new StoredValues(earlier.readerAt!(name, height))) };
}

function storeQuery(request: RequestQuery, { store }: QueryDeps, height: bigint): ResponseQuery | undefined {
  const name = /^\/store\/([a-z0-9_]+)\/key$/.exec(request.path)?.[1];
  if (name === undefined) return undefined;
  if (!store.names.includes(name)) throw new ChainError(SDK.unknownRequest, `no such store: ${name}`);
  if (request.data.length === 0) throw new ChainError(SDK.invalidRequest, "the key is empty");
  if (!request.prove && height === store.height()) {
    const reader: Reader = store.reader(name);
    return answer(height, request.data, reader.get(request.data) ?? NOTHING);
  }
  const proven = store.prove(name, request.data, height);
  return {
    ...answer(proven.height, request.data, proven.value ?? NOTHING),
    ...(request.prove && { proofOps: { ops: proven.proofOps } }),
  };
}

const answer = (height: bigint, key: Uint8Array, value: Uint8Array): ResponseQuery => ({
  code: 0,
  log: "",
  info: "",
  index: 0n,
  key,
  value,
  height,
  codespace: "",
});

function refusal(error: unknown, height: bigint, request: RequestQuery, log: Logger): ResponseQuery {
  if (isChainError(error)) {
    return { ...answer(height, NOTHING, NOTHING), code: error.code, codespace: error.codespace, log: error.message };
  }
  const known = isKaratError(error, "height_unavailable", "invalid_key", "absence_not_provable");
  // A request that does not decode ends here too; which of them it was is for the log to say.
  if (!known) log.warn({ path: request.path, error: messageOf(error) }, "a query failed");
  const kind = known || error instanceof RangeError ? SDK.invalidRequest : SDK.logic;
  return { ...answer(height, NOTHING, NOTHING), ...kind, log: known ? messageOf(error) : "the query failed" };
}
