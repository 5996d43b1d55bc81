/** A grammar as an automaton over bytes, made deterministic as far as it is walked. */
import { type Node, nodesFrom } from "./node.ts";
import type { Costs } from "./spelling.ts";

/** What is still to be matched: a node of which `at` is done, and what comes behind it. */
interface Frame {
  readonly node: Node;
  readonly at: number;
  readonly rest: Frame | undefined;
  /** Fewest tokens to the end. */
  readonly cost: number;
  readonly id: number;
}

export interface State {
  readonly frames: readonly Frame[];
  /** Whether the text may end here. */
  readonly accepts: boolean;
  /** Within free text: an answer need not be brought to an end. */
  readonly free: boolean;
  /** Fewest tokens to the end, without the stop token. */
  readonly cost: number;
  readonly next: Map<number, State | undefined>;
}

/** Alternatives that are followed at once: of more, those nearest to the end. */
const MAX_FRAMES = 256;
/** States and frames that are remembered; then it begins anew. */
const MAX_KNOWN = 20_000;

export class Automaton {
  readonly start: State;
  readonly #costs: Costs;
  readonly #numbers: ReadonlyMap<Node, number>;
  #frames = new Map<string, Frame>();
  #states = new Map<string, State>();
  #ids = 0;

  constructor(root: Node, costs: Costs) {
    this.#costs = costs;
    this.#numbers = new Map(nodesFrom(root).map((node, i) => [node, i]));
    this.start = this.#state([this.#frame(root, 0, undefined)]);
  }

  /** The state behind one more byte; undefined where the grammar has no such byte. */
  step(state: State, byte: number): State | undefined {
    if (state.next.has(byte)) return state.next.get(byte);
    const reached: (Frame | undefined)[] = [];
    for (const { node, at, rest } of state.frames) {
      if (node.kind === "bytes") {
        if (node.bytes[at] === byte) reached.push(this.#frame(node, at + 1, rest));
      } else if (node.kind === "class") {
        if (node.ranges.some(([from, to]) => byte >= from && byte <= to)) reached.push(rest);
      } else if (node.kind === "scan") {
        const matched = scanned(node.marker, at, byte);
        reached.push(matched === node.marker.length ? rest : this.#frame(node, matched, rest));
      }
    }
    const next = reached.length === 0 ? undefined : this.#state(reached);
    const live = next && (next.accepts || next.frames.length > 0) ? next : undefined;
    state.next.set(byte, live);
    return live;
  }

  /** Follows everything that takes no byte. */
  #state(begin: readonly (Frame | undefined)[]): State {
    const terminals = new Set<Frame>();
    const seen = new Set<Frame>();
    let accepts = false;
    const open = [...begin];
    while (open.length > 0) {
      const frame = open.pop();
      if (!frame) {
        accepts = true;
        continue;
      }
      if (seen.has(frame) || frame.cost === Number.POSITIVE_INFINITY) continue;
      seen.add(frame);
      const { node, at, rest } = frame;
      switch (node.kind) {
        case "bytes":
          if (at === node.bytes.length) open.push(rest);
          else terminals.add(frame);
          break;
        case "class":
          terminals.add(frame);
          break;
        case "scan":
          terminals.add(frame);
          accepts = true;
          break;
        case "sequence":
          if (at === node.nodes.length) open.push(rest);
          else open.push(this.#frame(node.nodes[at]!, 0, this.#behind(node, at + 1, node.nodes.length, rest)));
          break;
        case "choice":
          for (const child of node.nodes) open.push(this.#frame(child, 0, rest));
          break;
        case "repeat": {
          // Without an upper bound, what counts is only whether there are enough.
          const more = node.most === Number.POSITIVE_INFINITY ? Math.min(at + 1, node.least) : at + 1;
          if (at < node.most) open.push(this.#frame(node.node, 0, this.#frame(node, more, rest)));
          if (at >= node.least) open.push(rest);
          break;
        }
        case "reference":
          open.push(this.#frame(node.resolve(), 0, rest));
      }
    }
    return this.#known(this.#nearest([...terminals]), accepts);
  }

  #behind(node: Node, at: number, length: number, rest: Frame | undefined): Frame | undefined {
    return at === length ? rest : this.#frame(node, at, rest);
  }

  #frame(node: Node, at: number, rest: Frame | undefined): Frame {
    const key = `${this.#numbers.get(node)}.${at}.${rest?.id ?? ""}`;
    const known = this.#frames.get(key);
    if (known) return known;
    const cost = this.#costs.of(node, at) + (rest?.cost ?? 0);
    const frame = { node, at, rest, cost, id: this.#ids++ };
    if (this.#frames.size >= MAX_KNOWN) this.#frames = new Map();
    this.#frames.set(key, frame);
    return frame;
  }

  #known(frames: Frame[], accepts: boolean): State {
    frames.sort((a, b) => a.id - b.id);
    const key = `${accepts ? "!" : ""}${frames.map(({ id }) => id).join()}`;
    const known = this.#states.get(key);
    if (known) return known;
    const cost = accepts ? 0 : Math.min(...frames.map((frame) => frame.cost));
    const free = frames.some(({ node }) => node.kind === "scan");
    const state = { frames, accepts, free, cost, next: new Map<number, State | undefined>() };
    if (this.#states.size >= MAX_KNOWN) this.#states = new Map();
    this.#states.set(key, state);
    return state;
  }

  /** The ids of frames depend on what was walked before, so ties are broken by what the frames are: every party keeps the same ones. */
  #nearest(frames: Frame[]): Frame[] {
    if (frames.length <= MAX_FRAMES) return frames;
    // What was forgotten and met again has two ids and one path.
    const byPath = new Map(frames.map((frame) => [this.#path(frame), frame]));
    const keyed = [...byPath].map(([key, frame]) => ({ frame, key }));
    keyed.sort((a, b) => a.frame.cost - b.frame.cost || (a.key < b.key ? -1 : 1));
    return keyed.slice(0, MAX_FRAMES).map(({ frame }) => frame);
  }

  #path(frame: Frame): string {
    const path: string[] = [];
    for (let at: Frame | undefined = frame; at; at = at.rest) path.push(`${this.#numbers.get(at.node)}.${at.at}`);
    return path.join("/");
  }
}

/** How much of the marker the text ends with, after one more byte (Knuth, Morris, Pratt on a marker that is short). */
function scanned(marker: Uint8Array, matched: number, byte: number): number {
  for (let length = matched + 1; length > 0; length--) {
    if (marker[length - 1] !== byte) continue;
    let fits = true;
    for (let i = 0; i < length - 1 && fits; i++) fits = marker[i] === marker[matched - (length - 1) + i];
    if (fits) return length;
  }
  return 0;
}
