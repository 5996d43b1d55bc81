import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from "../store/limits.ts";
import type { Range, Writer } from "../store/types.ts";
import { ChainError, SDK } from "./errors.ts";
import { GAS, LimitedGas, UnlimitedGas } from "./gas.ts";
import type { ChainEvent, Context, GasMeter } from "./module.ts";
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
  readonly #stores = new Map<string, Writer>();

  constructor(block: BlockInfo, state: State, gas: GasMeter, events: ChainEvent[]) {
    this.chainId = block.chainId;
    this.height = block.height;
    this.time = block.time;
    this.blockHash = block.blockHash;
    this.gas = gas;
    this.#state = state;
    this.#events = events;
  }

  store(module: string): Writer {
    let store = this.#stores.get(module);
    if (store === undefined) {
      const plain = this.#state.store(module);
      store = this.gas instanceof LimitedGas ? new MeteredStore(plain, this.gas) : plain;
      this.#stores.set(module, store);
    }
    return store;
  }

  emit(type: string, attributes: Readonly<Record<string, string>>): void {
    this.#events.push({ type, attributes: Object.entries(attributes).map(([key, value]) => ({ key, value })) });
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
 * Charges for every access. A key or value beyond the store's limits is the sender's fault here (a code, no halt):
 * whatever a message puts into a key comes from its sender.
 */
class MeteredStore implements Writer {
  readonly #inner: Writer;
  readonly #gas: GasMeter;

  constructor(inner: Writer, gas: GasMeter) {
    this.#inner = inner;
    this.#gas = gas;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    checkKeyOf(key);
    this.#gas.consume(GAS.readFlat, "read");
    const value = this.#inner.get(key);
    this.#gas.consume(GAS.readByte * BigInt(key.length + (value?.length ?? 0)), "read");
    return value;
  }

  has(key: Uint8Array): boolean {
    checkKeyOf(key);
    this.#gas.consume(GAS.readFlat, "read");
    return this.#inner.has(key);
  }

  set(key: Uint8Array, value: Uint8Array): void {
    checkKeyOf(key);
    if (value.length > MAX_VALUE_BYTES) throw new ChainError(SDK.invalidRequest, "a value is too long for the store");
    this.#gas.consume(GAS.writeFlat + GAS.writeByte * BigInt(key.length + value.length), "write");
    this.#inner.set(key, value);
  }

  delete(key: Uint8Array): void {
    checkKeyOf(key);
    this.#gas.consume(GAS.deleteFlat, "delete");
    this.#inner.delete(key);
  }

  *iterate(range?: Range): Generator<readonly [Uint8Array, Uint8Array]> {
    this.#gas.consume(GAS.readFlat, "iterate");
    for (const entry of this.#inner.iterate(range)) {
      this.#gas.consume(GAS.iterateStep + GAS.readByte * BigInt(entry[0].length + entry[1].length), "iterate");
      yield entry;
    }
  }
}

function checkKeyOf(key: Uint8Array): void {
  if (key.length === 0 || key.length > MAX_KEY_BYTES) {
    throw new ChainError(SDK.invalidRequest, "a key is too long for the store");
  }
}
