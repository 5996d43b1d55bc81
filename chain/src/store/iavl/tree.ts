import { compareBytes } from "../bytes.ts";
import type { Range, Reader } from "../types.ts";
import type { Node, NodeSource, Ref } from "./node.ts";

/** A saved, immutable version of a tree, read by walking it. Reads of the latest version have faster ways. */
export class Tree implements Reader {
  readonly root: Ref | undefined;
  readonly #source: NodeSource;

  constructor(source: NodeSource, root: Ref | undefined) {
    this.#source = source;
    this.root = root;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const leaf = this.path(key).at(-1);
    return leaf !== undefined && compareBytes(leaf.node.key, key) === 0 ? leaf.node.value : undefined;
  }

  has(key: Uint8Array): boolean {
    return this.get(key) !== undefined;
  }

  /** The nodes from the root to the leaf where `key` is or would be. Empty for an empty tree. */
  path(key: Uint8Array): { ref: Ref; node: Node }[] {
    const path: { ref: Ref; node: Node }[] = [];
    let ref = this.root;
    while (ref !== undefined) {
      const node: Node = this.load(ref);
      path.push({ ref, node });
      ref = compareBytes(key, node.key) < 0 ? node.left : node.right;
    }
    return path;
  }

  *iterate(range: Range = {}): Generator<readonly [Uint8Array, Uint8Array]> {
    const { start, end, reverse = false } = range;
    const stack: Ref[] = this.root === undefined ? [] : [this.root];
    for (let ref = stack.pop(); ref !== undefined; ref = stack.pop()) {
      const node = this.load(ref);
      if (node.left === undefined || node.right === undefined) {
        const inside =
          (start === undefined || compareBytes(node.key, start) >= 0) &&
          (end === undefined || compareBytes(node.key, end) < 0);
        if (inside) yield [node.key, node.value!];
        continue;
      }
      // Left holds keys < node.key, right keys ≥ node.key.
      const left = start === undefined || compareBytes(start, node.key) < 0 ? node.left : undefined;
      const right = end === undefined || compareBytes(node.key, end) < 0 ? node.right : undefined;
      const [first, second] = reverse ? [right, left] : [left, right];
      if (second !== undefined) stack.push(second);
      if (first !== undefined) stack.push(first);
    }
  }

  /** Every node with its children before it, left first. */
  *postOrder(): Generator<{ ref: Ref; node: Node }> {
    const stack: { ref: Ref; node: Node; opened: boolean }[] = [];
    const push = (ref: Ref) => stack.push({ ref, node: this.load(ref), opened: false });
    if (this.root !== undefined) push(this.root);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      if (top.opened || top.node.left === undefined || top.node.right === undefined) {
        stack.pop();
        yield top;
      } else {
        top.opened = true;
        push(top.node.right);
        push(top.node.left);
      }
    }
  }

  load(ref: Ref): Node {
    return ref.node ?? this.#source.load(ref.id);
  }
}
