import { sha256, utf8 } from "@karat/common";

/** A small fast generator (sfc32) whose every number follows from its seed text: a failing run fails again. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: string) {
    const view = new DataView(sha256(utf8(`karat simulation ${seed}`)).buffer);
    [this.#a, this.#b, this.#c] = [view.getInt32(0), view.getInt32(4), view.getInt32(8)];
    for (let i = 0; i < 12; i++) this.uint32();
  }

  uint32(): number {
    const t = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t;
    return t >>> 0;
  }

  /** 0 ≤ result < bound; the bias of the modulo plays no part here. */
  int(bound: number): number {
    return this.uint32() % bound;
  }

  /** Both ends included. */
  between(low: number, high: number): number {
    return low + this.int(high - low + 1);
  }

  /** True in so many of a hundred cases. */
  percent(chance: number): boolean {
    return this.int(100) < chance;
  }

  /** Throws on an empty list. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error("nothing to pick from");
    return items[this.int(items.length)]!;
  }

  /** Each item with the given chance in percent, in their order. */
  some<T>(items: readonly T[], chance: number): T[] {
    return items.filter(() => this.percent(chance));
  }

  weighted<T>(items: readonly { readonly weight: number; readonly value: T }[]): T {
    let at = this.int(items.reduce((sum, { weight }) => sum + weight, 0));
    return items.find(({ weight }) => {
      at -= weight;
      return at < 0;
    })!.value;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.uint32() & 255);
  }
}
