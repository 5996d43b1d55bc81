/** What the chain recorded, read from its blocks: their events are the history that nothing prunes during a run. */
import type { ChainClient, ChainEvent } from "@karat/client";

/** The life of one inference as events tell it. */
export interface Life {
  starts: number;
  finishes: number;
  deliveries: number;
  settlements: number;
  /** Invalid and inconclusive decisions. */
  refunds: number;
  executor: string;
  /** ukarat: of the finish, then of the settlement. */
  cost: bigint;
  missed: "deadline" | "error" | undefined;
}

export class Ledger {
  readonly lives = new Map<string, Life>();
  readonly #chain: ChainClient;
  #read = 0n;

  constructor(chain: ChainClient) {
    this.#chain = chain;
  }

  /** Reads up to the newest block. */
  async catchUp(): Promise<void> {
    const { height } = await this.#chain.status();
    while (this.#read < height) {
      const block = await this.#chain.block(this.#read + 1n);
      for (const tx of block.txs) if (tx.code === 0) for (const event of tx.events) this.#take(event);
      for (const event of block.events) this.#take(event);
      this.#read += 1n;
    }
  }

  /** Ukarat that settled inferences took from the client's deposit. */
  spent(): bigint {
    return [...this.lives.values()].reduce((sum, life) => sum + (life.settlements > 0 ? life.cost : 0n), 0n);
  }

  #take({ type, attributes }: ChainEvent): void {
    if (!type.startsWith("inference_")) return;
    const value = (name: string): string | undefined => attributes.find(({ key }) => key === name)?.value;
    const id = value("inference_id");
    if (id === undefined) return;
    const life = this.lives.get(id) ?? {
      starts: 0,
      finishes: 0,
      deliveries: 0,
      settlements: 0,
      refunds: 0,
      executor: "",
      cost: 0n,
      missed: undefined,
    };
    this.lives.set(id, life);
    life.executor = value("executor") ?? life.executor;
    if (type === "inference_start") life.starts++;
    else if (type === "inference_delivery") life.deliveries++;
    else if (type === "inference_settled") {
      life.settlements++;
      // Where others went on or went before, it is not what the finish said.
      life.cost = BigInt(value("cost") ?? "0");
    } else if (type === "inference_invalid" || type === "inference_inconclusive") life.refunds++;
    else if (type === "inference_missed") life.missed = value("reason") === "error" ? "error" : "deadline";
    else if (type === "inference_finish") {
      life.finishes++;
      life.cost = BigInt(value("cost") ?? "0");
    }
  }
}
