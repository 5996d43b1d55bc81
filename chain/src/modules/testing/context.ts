/**
 * A chain without blocks, for tests of modules: named stores in memory, a height to move, messages that run as the
 * application runs them (stateless check, then state, rolled back when refused).
 */

import { sha256, utf8 } from "@karat/common";
import { type ChainError, type ErrorKind, isChainError } from "../../app/errors.ts";
import {
  type ChainEvent,
  type ConsensusFacts,
  type Context,
  chainEvent,
  type GasMeter,
  type Module,
} from "../../app/module.ts";
import { Overlay } from "../../store/overlay.ts";
import type { ValueReader, ValueWriter } from "../../store/types.ts";

/** Of a block that nobody had to sign. */
export const NO_FACTS: ConsensusFacts = { votes: [], misbehavior: [] };

const nothingThere: ValueReader = { value: () => undefined, values: () => [] };
const freeGas: GasMeter = { limit: 0xffff_ffff_ffff_ffffn, used: 0n, consume: () => undefined };

class Stores {
  readonly #parent: Stores | undefined;
  readonly #overlays = new Map<string, Overlay>();

  constructor(parent?: Stores) {
    this.#parent = parent;
  }

  store(name: string): Overlay {
    let overlay = this.#overlays.get(name);
    if (overlay === undefined) {
      overlay = new Overlay(this.#parent?.store(name) ?? nothingThere);
      this.#overlays.set(name, overlay);
    }
    return overlay;
  }

  flush(): void {
    for (const [name, overlay] of this.#overlays) overlay.flushTo(this.#parent!.store(name));
  }
}

export class TestChain {
  readonly chainId: string;
  /** Height of the block that everything now runs in. */
  height: bigint;
  /** Events of everything that was kept, oldest first. */
  readonly events: ChainEvent[] = [];
  readonly #stores = new Stores();

  constructor(options: { chainId?: string; height?: bigint } = {}) {
    this.chainId = options.chainId ?? "karat-test";
    this.height = options.height ?? 1n;
  }

  /** Writes stay at once; for block phases, keepers and queries. */
  get ctx(): Context {
    return this.#context(this.#stores, this.events);
  }

  /** Runs on a branch that is kept when `run` returns and dropped when it throws. */
  transaction<T>(run: (ctx: Context) => T): T {
    const branch = new Stores(this.#stores);
    const events: ChainEvent[] = [];
    const result = run(this.#context(branch, events));
    branch.flush();
    this.events.push(...events);
    return result;
  }

  /** One message through the wire form and all checks, as in a block. Throws ChainError when it is refused. */
  deliver(module: Module, typeUrl: string, message: object): object {
    const handler = module.messages?.[typeUrl];
    if (handler === undefined) throw new Error(`no handler of ${typeUrl} in ${module.name}`);
    const decoded = handler.codec.decode(handler.codec.encode(message as never).finish());
    handler.checkStateless(decoded);
    return this.transaction((ctx) => handler.execute(ctx, decoded));
  }

  /** What a message is refused with; undefined when it is accepted (and kept). */
  refusal(module: Module, typeUrl: string, message: object): ErrorKind | undefined {
    return errorOf(() => this.deliver(module, typeUrl, message));
  }

  /** Begin of block, `body`, end of block of the modules in their order; then the next height. */
  block(modules: readonly Module[], body: () => void = () => undefined): void {
    for (const module of modules) module.beginBlock?.(this.ctx, NO_FACTS);
    body();
    for (const module of modules) module.endBlock?.(this.ctx);
    this.height++;
  }

  eventsOf(type: string): Record<string, string>[] {
    return this.events
      .filter((event) => event.type === type)
      .map((event) => Object.fromEntries(event.attributes.map(({ key, value }) => [key, value])));
  }

  #context(stores: Stores, events: ChainEvent[]): Context {
    return {
      chainId: this.chainId,
      height: this.height,
      time: { seconds: 1_700_000_000n + this.height, nanos: 0 },
      blockHash: sha256(utf8(`block ${this.height} of ${this.chainId}`)),
      gas: freeGas,
      store: (name: string): ValueWriter => stores.store(name),
      emit(type, attributes) {
        events.push(chainEvent(type, attributes));
      },
    };
  }
}

/** Codespace and code of the ChainError that `run` throws; undefined when it returns. Anything else is thrown on. */
export function errorOf(run: () => unknown): ErrorKind | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (!isChainError(error)) throw error;
    const { codespace, code }: ChainError = error;
    return { codespace, code };
  }
}
