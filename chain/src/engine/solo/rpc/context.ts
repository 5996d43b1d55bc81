import type { Logger } from "@karat/common";
import type { Application } from "../../abci.ts";
import type { Genesis } from "../../consensus/genesis.ts";
import type { Ed25519Key } from "../../consensus/keys.ts";
import type { SerialQueue } from "../../serial.ts";
import type { EventBus } from "../events.ts";
import type { Mempool } from "../mempool.ts";
import type { ChainState } from "../state.ts";
import type { SoloStore } from "../store.ts";
import type { Params, ParamTypes } from "./params.ts";

/** What the RPC methods look at. They change nothing but the mempool. */
export interface RpcContext {
  readonly application: Application;
  /** Everything but `info` and `query` goes to the application through this. */
  readonly queue: SerialQueue;
  readonly mempool: Mempool;
  readonly store: SoloStore;
  readonly events: EventBus;
  readonly genesis: Genesis;
  readonly key: Ed25519Key;
  readonly log: Logger;
  /** The state after the last committed block. */
  state(): ChainState;
  /** Tells the block producer that a transaction waits. */
  wake(): void;
  /** `host:port` that the RPC listens on. */
  address(): string;
}

/** One method of the RPC: its parameters in the order of positional calls, and what answers it. */
export interface Method {
  readonly params: ParamTypes;
  call(context: RpcContext, params: never): unknown;
}

/** Ties a method's parameters to the type its implementation sees. */
export const method = <T extends ParamTypes>(
  params: T,
  call: (context: RpcContext, params: Params<T>) => unknown,
): Method => ({ params, call: call as Method["call"] });
