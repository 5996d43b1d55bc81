/** Grammars over bytes, as a small tree: what the automaton walks and what schemas are compiled to. */

export type Node =
  /** Exactly these bytes. */
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** One byte of any of the ranges, both ends included. */
  | { readonly kind: "class"; readonly ranges: readonly (readonly [number, number])[] }
  | { readonly kind: "sequence"; readonly nodes: readonly Node[] }
  | { readonly kind: "choice"; readonly nodes: readonly Node[] }
  /** `least` to `most` times; the node must not match the empty string. */
  | { readonly kind: "repeat"; readonly node: Node; readonly least: number; readonly most: number }
  /** A node known only later: recursion. */
  | { readonly kind: "reference"; readonly resolve: () => Node }
  /** Free text, which may end anywhere, until `marker` has appeared in it; what follows the node begins behind the marker. */
  | { readonly kind: "scan"; readonly marker: Uint8Array };

const encoder = new TextEncoder();

export const text = (value: string): Node => ({ kind: "bytes", bytes: encoder.encode(value) });
export const byteClass = (...ranges: (readonly [number, number])[]): Node => ({ kind: "class", ranges });
/** One ASCII character of the given ones and ranges: "a-z_" reads as in a regular expression. */
export function oneOf(spec: string): Node {
  const ranges: [number, number][] = [];
  for (let i = 0; i < spec.length; i++) {
    const range = spec[i + 1] === "-" && i + 2 < spec.length;
    ranges.push([spec.charCodeAt(i), spec.charCodeAt(range ? i + 2 : i)]);
    if (range) i += 2;
  }
  return { kind: "class", ranges };
}
export const sequence = (...nodes: Node[]): Node => ({ kind: "sequence", nodes });
export const choice = (...nodes: Node[]): Node => (nodes.length === 1 ? nodes[0]! : { kind: "choice", nodes });
export const repeat = (node: Node, least: number, most: number): Node => ({ kind: "repeat", node, least, most });
export const optional = (node: Node): Node => repeat(node, 0, 1);
export const reference = (resolve: () => Node): Node => ({ kind: "reference", resolve });
export const scan = (marker: string): Node => ({ kind: "scan", marker: encoder.encode(marker) });
export const EMPTY: Node = sequence();

/** The nodes directly below one. */
export function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case "sequence":
    case "choice":
      return node.nodes;
    case "repeat":
      return [node.node];
    case "reference":
      return [node.resolve()];
    default:
      return [];
  }
}

/** Every node reachable from a root, each once, parents before children: the order is the same for every party. */
export function nodesFrom(root: Node): Node[] {
  const seen = new Set<Node>([root]);
  for (const node of seen) for (const child of childrenOf(node)) seen.add(child);
  return [...seen];
}
