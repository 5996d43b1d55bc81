/** How few tokens of a vocabulary a grammar can be satisfied with: what lets an answer end within its maximum. */
import { childrenOf, type Node, nodesFrom } from "./node.ts";

/** What of a vocabulary the counting needs. */
export interface Speller {
  /** Entry i: the fewest tokens that spell the bytes from i on; the last entry is 0. Infinity where none do. */
  spell(bytes: Uint8Array): readonly number[];
  /** Whether a token consists of exactly this byte. */
  hasByte(byte: number): boolean;
}

export interface Costs {
  /** Fewest tokens for a node of which `at` has been matched (bytes, elements of a sequence, repetitions). */
  of(node: Node, at: number): number;
}

/** Throws nothing; a node that cannot be satisfied costs Infinity. */
export function costsOf(root: Node, speller: Speller): Costs {
  const nodes = nodesFrom(root).reverse();
  const spelled = new Map<Node, readonly number[]>();
  const whole = new Map<Node, number>();
  const cost = (node: Node, at: number): number => {
    switch (node.kind) {
      case "bytes": {
        const suffixes = spelled.get(node) ?? speller.spell(node.bytes);
        spelled.set(node, suffixes);
        return suffixes[at] ?? 0;
      }
      case "class":
        return node.ranges.some(([from, to]) => anyByte(from, to, speller)) ? 1 : Number.POSITIVE_INFINITY;
      case "sequence":
        return node.nodes.slice(at).reduce((sum, child) => sum + wholeOf(child), 0);
      case "choice":
        return Math.min(...node.nodes.map(wholeOf));
      case "repeat": {
        const missing = Math.max(0, node.least - at);
        return missing === 0 ? 0 : missing * wholeOf(node.node);
      }
      case "reference":
        return wholeOf(node.resolve());
      case "scan":
        return 0;
    }
  };
  const wholeOf = (node: Node): number => whole.get(node) ?? Number.POSITIVE_INFINITY;
  const above = new Map<Node, Node[]>(nodes.map((node) => [node, []]));
  for (const node of nodes) for (const child of childrenOf(node)) above.get(child)!.push(node);
  // Costs only fall, by whole tokens, so this ends; from the leaves upwards, what is near to an end is known first.
  const open = new Set(nodes);
  for (const node of open) {
    open.delete(node);
    const found = cost(node, 0);
    if (found >= wholeOf(node)) continue;
    whole.set(node, found);
    for (const parent of above.get(node)!) open.add(parent);
  }
  return { of: (node, at) => (at === 0 ? wholeOf(node) : cost(node, at)) };
}

function anyByte(from: number, to: number, speller: Speller): boolean {
  for (let byte = from; byte <= to; byte++) if (speller.hasByte(byte)) return true;
  return false;
}
