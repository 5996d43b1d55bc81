import { compareBytes } from "../bytes.ts";
import { EMPTY_ROOT, innerHash, leafHash, NO_HASH, Node, type NodeSource, Ref } from "./node.ts";

/** A finished version: what is new, children before parents, and the ids of saved nodes that it no longer reaches. */
export interface Finished {
  root: Ref | undefined;
  hash: Uint8Array;
  created: Ref[];
  orphans: number[];
}

/**
 * The next version of a tree, made by copying the nodes on the way to each change. Set, remove and rotation follow
 * cosmos/iavl v1.3.5 step by step, for the shape of the tree is part of its hash. Saved nodes are never changed, so
 * dropping a working tree undoes it.
 */
export class WorkingTree {
  readonly #source: NodeSource;
  #root: Ref | undefined;
  readonly #orphans: number[] = [];
  /** Whether the last #set replaced a value, which leaves the shape as it is. */
  #replaced = false;

  constructor(source: NodeSource, root: Ref | undefined) {
    this.#source = source;
    this.#root = root;
  }

  set(key: Uint8Array, value: Uint8Array): void {
    this.#root = this.#root === undefined ? leafOf(key, value) : this.#set(this.#root, key, value);
  }

  /** False where the key was not there; the tree is then untouched. */
  remove(key: Uint8Array): boolean {
    if (this.#root === undefined) return false;
    const removal = this.#remove(this.#root, key);
    if (removal === undefined) return false;
    this.#root = removal.rest;
    return true;
  }

  /** Gives every new node its version and hash. The tree must not be changed afterwards. */
  finish(version: number): Finished {
    const created: Ref[] = [];
    if (this.#root !== undefined) seal(this.#root, version, created);
    return { root: this.#root, hash: this.#root?.hash ?? EMPTY_ROOT, created, orphans: this.#orphans };
  }

  #set(ref: Ref, key: Uint8Array, value: Uint8Array): Ref {
    const node = this.#load(ref);
    const order = compareBytes(key, node.key);
    if (ref.height === 0) {
      const leaf = leafOf(key, value);
      this.#replaced = order === 0;
      if (order < 0) return innerOf(node.key, leaf, ref);
      if (order > 0) return innerOf(key, ref, leaf);
      this.#discard(ref);
      return leaf;
    }
    const [own, content] = this.#own(ref, node);
    if (order < 0) content.left = this.#set(content.left!, key, value);
    else content.right = this.#set(content.right!, key, value);
    if (this.#replaced) return own;
    measure(own, content);
    return this.#balance(own, content);
  }

  /**
   * Undefined where the key is not there. `rest` is what remains of the subtree; `smallest` is set where its smallest
   * key changed: the nearest ancestor that has the subtree on its right takes it as its key.
   */
  #remove(ref: Ref, key: Uint8Array): { rest: Ref | undefined; smallest: Uint8Array | undefined } | undefined {
    const node = this.#load(ref);
    const order = compareBytes(key, node.key);
    if (ref.height === 0) {
      if (order !== 0) return undefined;
      this.#discard(ref);
      return { rest: undefined, smallest: undefined };
    }
    const removal = this.#remove(order < 0 ? node.left! : node.right!, key);
    if (removal === undefined) return undefined;
    if (removal.rest === undefined) {
      this.#discard(ref);
      return order < 0 ? { rest: node.right!, smallest: node.key } : { rest: node.left!, smallest: undefined };
    }
    const [own, content] = this.#own(ref, node);
    let smallest: Uint8Array | undefined;
    if (order < 0) {
      content.left = removal.rest;
      smallest = removal.smallest;
    } else {
      content.right = removal.rest;
      if (removal.smallest !== undefined) content.key = removal.smallest;
    }
    measure(own, content);
    return { rest: this.#balance(own, content), smallest };
  }

  #balance(ref: Ref, node: Node): Ref {
    const lean = node.left!.height - node.right!.height;
    if (lean > 1) {
      const left = this.#load(node.left!);
      if (left.left!.height < left.right!.height) node.left = this.#rotateLeft(node.left!);
      return this.#rotateRight(ref);
    }
    if (lean < -1) {
      const right = this.#load(node.right!);
      if (right.left!.height > right.right!.height) node.right = this.#rotateRight(node.right!);
      return this.#rotateLeft(ref);
    }
    return ref;
  }

  #rotateRight(ref: Ref): Ref {
    const [own, node] = this.#own(ref, this.#load(ref));
    const [top, topNode] = this.#own(node.left!, this.#load(node.left!));
    node.left = topNode.right!;
    topNode.right = own;
    measure(own, node);
    measure(top, topNode);
    return top;
  }

  #rotateLeft(ref: Ref): Ref {
    const [own, node] = this.#own(ref, this.#load(ref));
    const [top, topNode] = this.#own(node.right!, this.#load(node.right!));
    node.right = topNode.left!;
    topNode.left = own;
    measure(own, node);
    measure(top, topNode);
    return top;
  }

  #load(ref: Ref): Node {
    return ref.node ?? this.#source.load(ref.id);
  }

  /** The inner node itself where it is new already, else a copy that takes its place. */
  #own(ref: Ref, node: Node): [Ref, Node] {
    if (ref.node !== undefined) return [ref, node];
    this.#discard(ref);
    const copy = new Node(node.key, undefined, 0, node.left, node.right);
    return [new Ref(0, NO_HASH, ref.height, ref.size, copy), copy];
  }

  #discard(ref: Ref): void {
    if (ref.node === undefined) this.#orphans.push(ref.id);
  }
}

const leafOf = (key: Uint8Array, value: Uint8Array): Ref => new Ref(0, NO_HASH, 0, 1, new Node(key, value, 0));

const innerOf = (key: Uint8Array, left: Ref, right: Ref): Ref =>
  new Ref(0, NO_HASH, 1, 2, new Node(key, undefined, 0, left, right));

function measure(ref: Ref, node: Node): void {
  ref.height = Math.max(node.left!.height, node.right!.height) + 1;
  ref.size = node.left!.size + node.right!.size;
}

function seal(ref: Ref, version: number, created: Ref[]): void {
  const node = ref.node;
  if (node === undefined) return;
  node.version = version;
  if (node.left === undefined || node.right === undefined) {
    ref.hash = leafHash(node.key, node.value!, version);
  } else {
    seal(node.left, version, created);
    seal(node.right, version, created);
    ref.hash = innerHash(ref.height, ref.size, version, node.left.hash, node.right.hash);
  }
  created.push(ref);
}
