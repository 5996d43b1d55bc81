import { MAX_KEY_BYTES } from "../store/limits.ts";
import type { KeyRange, ValueWriter } from "../store/types.ts";
import type { Value } from "../store/value.ts";
import { ChainError, SDK } from "./errors.ts";
import { GAS, LimitedGas, UnlimitedGas } from "./gas.ts";
import { type ChainEvent, type Context, chainEvent, type GasMeter } from "./module.ts";
import type { State } from "./state.ts";

/** What is the same for everything that runs at one height. */
export interface BlockInfo {
  readonly chainId: string;
  readonly height: bigint;
  readonly time: { readonly seconds: bigint; readonly nanos: number };
  readonly blockHash: Uint8Array;
}

class ExecutionContext implements Context {
  readonly chainId: string;
  readonly height: bigint;
  readonly time: { readonly seconds: bigint; readonly nanos: number };
  readonly blockHash: Uint8Array;
  readonly gas: GasMeter;
  readonly #state: State;
  readonly #events: ChainEvent[];
  readonly #stores = new Map<string, ValueWriter>();

  constructor(block: BlockInfo, state: State, gas: GasMeter, events: ChainEvent[]) {
    this.chainId = block.chainId;
    this.height = block.height;
    this.time = block.time;
    this.blockHash = block.blockHash;
    this.gas = gas;
    this.#state = state;
    this.#events = events;
  }

  store(module: string): ValueWriter {
    let store = this.#stores.get(module);
    if (store === undefined) {
      const plain = this.#state.store(module);
      store = this.gas instanceof LimitedGas ? new MeteredStore(plain, this.gas) : plain;
      this.#stores.set(module, store);
    }
    return store;
  }

  emit(type: string, attributes: Readonly<Record<string, string>>): void {
    this.#events.push(chainEvent(type, attributes));
  }
}

/** For a transaction, its messages and queries: every store access costs gas. Events are appended to `events`. */
export function meteredContext(block: BlockInfo, state: State, gas: LimitedGas, events: ChainEvent[]): Context {
  return new ExecutionContext(block, state, gas, events);
}

/** For what a block does by itself. Events are appended to `events`. */
export function blockContext(block: BlockInfo, state: State, events: ChainEvent[] = []): Context {
  return new ExecutionContext(block, state, new UnlimitedGas(), events);
}

/**
 * Charges for every access, the same for short and long: what is long came in transactions, which pay by their bytes. A key beyond
 * the store's limit is the sender's fault here (a code, no halt): whatever a message puts into a key comes from its sender.
 */
class MeteredStore implements ValueWriter {
  readonly #inner: ValueWriter;
  readonly #gas: GasMeter;

  constructor(inner: ValueWriter, gas: GasMeter) {
    this.#inner = inner;
    this.#gas = gas;
  }

  value(key: string): Value | undefined {
    checkKeyOf(key);
    this.#gas.consume(GAS.read, "read");
    return this.#inner.value(key);
  }

  put(key: string, value: Value | undefined): void {
    checkKeyOf(key);
    if (value === undefined) this.#gas.consume(GAS.delete, "delete");
    else this.#gas.consume(GAS.write, "write");
    this.#inner.put(key, value);
  }

  *values(range?: KeyRange): Generator<readonly [string, Value]> {
    this.#gas.consume(GAS.read, "iterate");
    for (const entry of this.#inner.values(range)) {
      this.#gas.consume(GAS.iterateStep, "iterate");
      yield entry;
    }
  }
}

function checkKeyOf(key: string): void {
  if (key.length === 0 || key.length > MAX_KEY_BYTES) {
    throw new ChainError(SDK.invalidRequest, "a key is too long for the store");
  }
}
