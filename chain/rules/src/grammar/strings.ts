/**
 * Strings that match regular expressions, as a grammar. The expressions and the bounds of the length become one deterministic automaton
 * over characters, so that nothing is tried twice, every alternative is known to lead to an end, and several wishes hold at once.
 */
import { ANY, type Characters, charactersOf, includes, spelled } from "./characters.ts";
import { type Expression, ExpressionError } from "./expression.ts";
import { choice, type Node, reference, sequence, text } from "./node.ts";

/** What the expressions of one schema may take together. */
export interface Budget {
  states: number;
  /** Steps of the construction. */
  steps: number;
}
export const newBudget = (): Budget => ({ states: 4_096, steps: 500_000 });

/** A state of an expression as it is matched; numbers are places in the list of states. */
type Place =
  | { readonly kind: "characters"; readonly characters: Characters; readonly to: number }
  | { readonly kind: "split"; readonly to: readonly number[] }
  | { readonly kind: "start" | "end"; readonly to: number }
  | { readonly kind: "matched" };

interface Edge {
  readonly characters: Characters;
  readonly to: number;
}

interface State {
  readonly accepts: boolean;
  edges: Edge[];
}

/** Lengths in characters. */
export interface Lengths {
  readonly least: number;
  readonly most: number;
}

/** JSON strings, with their quotes, and the lengths they have. */
export interface Strings extends Lengths {
  readonly node: Node;
}

/**
 * The strings in which each expression matches somewhere. Throws ExpressionError when there are none, or the automaton takes more than is
 * left of the budget.
 */
export function matching(expressions: readonly Expression[], lengths: Lengths, budget: Budget): Strings {
  const places = expressions.map((expression) => placesOf(expression, budget));
  let states = deterministic(places, undefined, budget);
  const [least, most] = lengthsOf(states);
  if (least < lengths.least || most > lengths.most) states = deterministic(places, lengths, budget);
  return {
    node: sequence(text('"'), nodeOf(states)),
    least: Math.max(least, lengths.least),
    most: Math.min(most, lengths.most),
  };
}

/** The places of an expression that may match anywhere in a string; the first is where a string begins. */
function placesOf(expression: Expression, budget: Budget): readonly Place[] {
  const places: Place[] = [];
  const add = (place: Place): number => {
    spend(budget, 1);
    return places.push(place) - 1;
  };
  /** Builds backwards: where to begin, for what leads to `to`. */
  const build = (part: Expression, to: number): number => {
    switch (part.kind) {
      case "characters":
        return add({ kind: "characters", characters: part.characters, to });
      case "sequence":
        return part.of.reduceRight((behind, element) => build(element, behind), to);
      case "choice":
        return add({ kind: "split", to: part.of.map((element) => build(element, to)) });
      case "start":
      case "end":
        return add({ kind: part.kind, to });
      case "repeat": {
        let at = to;
        if (part.most === Number.POSITIVE_INFINITY) {
          const ways = [to];
          at = add({ kind: "split", to: ways });
          ways.push(build(part.of, at));
        } else for (let i = part.least; i < part.most; i++) at = add({ kind: "split", to: [to, build(part.of, at)] });
        for (let i = 0; i < part.least; i++) at = build(part.of, at);
        return at;
      }
    }
  };
  const begin: number[] = [];
  add({ kind: "split", to: begin });
  begin.push(add({ kind: "characters", characters: ANY, to: 0 }), build(expression, add({ kind: "matched" })));
  return places;
}

/** Where a string may stand in one expression: places that wait for a character, and whether it may end here. */
interface Standing {
  readonly waiting: readonly number[];
  readonly accepts: boolean;
}
const MATCHED: Standing = { waiting: [], accepts: true };

/** Follows what takes no character. */
function standing(places: readonly Place[], from: readonly number[], atStart: boolean, budget: Budget): Standing {
  const follow = (open: number[], atEnd: boolean): Set<number> => {
    const seen = new Set(open);
    for (const at of seen) {
      const place = places[at]!;
      if (place.kind === "split") for (const to of place.to) seen.add(to);
      else if ((place.kind === "start" && atStart) || (place.kind === "end" && atEnd)) seen.add(place.to);
    }
    spend(budget, seen.size);
    return seen;
  };
  const isMatched = (at: number): boolean => places[at]!.kind === "matched";
  const seen = [...follow([...from], false)];
  if (seen.some(isMatched)) return MATCHED;
  const waiting = seen.filter((at) => places[at]!.kind === "characters").sort((a, b) => a - b);
  const ends = seen.filter((at) => places[at]!.kind === "end");
  return { waiting, accepts: ends.length > 0 && [...follow(ends, true)].some(isMatched) };
}

/** States behind every beginning of a string; where lengths are given, they count. The first state is the start. */
function deterministic(all: readonly (readonly Place[])[], lengths: Lengths | undefined, budget: Budget): State[] {
  const atoms = atomsOf(all.flat(), budget);
  const { least = 0, most = Number.POSITIVE_INFINITY } = lengths ?? {};
  const states: State[] = [];
  const known = new Map<string, number>();
  const open: { standings: readonly Standing[]; count: number }[] = [];
  const numberOf = (standings: readonly Standing[], count: number): number => {
    const key = `${standings.map(({ waiting, accepts }) => `${accepts ? "!" : ""}${waiting.join()}`).join(";")}#${count}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    if (--budget.states < 0) throw new ExpressionError("takes too many states");
    known.set(key, states.length);
    open.push({ standings, count });
    return states.push({ accepts: count >= least && standings.every(({ accepts }) => accepts), edges: [] }) - 1;
  };
  numberOf(
    all.map((places) => standing(places, [0], true, budget)),
    0,
  );
  // What is found on the way is looked at in its turn.
  for (const [i, { standings, count }] of open.entries()) {
    if (count === most) continue;
    const next = most === Number.POSITIVE_INFINITY ? Math.min(count + 1, least) : count + 1;
    const reached = new Map<number, Characters>();
    for (const atom of atoms) {
      const behind = standings.map((at, j) => (at === MATCHED ? MATCHED : stepped(all[j]!, at, atom, budget)));
      if (behind.some((at) => at !== MATCHED && at.waiting.length === 0 && !at.accepts)) continue;
      const to = numberOf(behind, next);
      reached.set(to, [...(reached.get(to) ?? []), ...atom]);
    }
    states[i]!.edges = [...reached].map(([to, ranges]) => ({ characters: charactersOf(...ranges), to }));
  }
  return trimmed(states);
}

function stepped(places: readonly Place[], { waiting }: Standing, atom: Characters, budget: Budget): Standing {
  const code = atom[0]![0];
  const behind = new Set<number>();
  for (const at of waiting) {
    const place = places[at]!;
    if (place.kind === "characters" && includes(place.characters, code)) behind.add(place.to);
  }
  spend(budget, waiting.length);
  return standing(places, [...behind], false, budget);
}

/** The classes of characters that no expression tells apart. */
function atomsOf(places: readonly Place[], budget: Budget): Characters[] {
  const sets = new Map<string, Characters>();
  for (const place of places) if (place.kind === "characters") sets.set(place.characters.join(";"), place.characters);
  const starts = new Set<number>();
  for (const set of sets.values()) for (const [from, to] of set) starts.add(from).add(to + 1);
  const sorted = [...starts].sort((a, b) => a - b);
  spend(budget, sorted.length * sets.size);
  const atoms = new Map<string, Characters>();
  for (const [i, from] of sorted.entries()) {
    const key = [...sets.values()].map((set) => (includes(set, from) ? 1 : 0)).join("");
    const to = sorted[i + 1];
    if (to !== undefined && key.includes("1")) atoms.set(key, charactersOf(...(atoms.get(key) ?? []), [from, to - 1]));
  }
  return [...atoms.values()].filter((atom) => atom.length > 0);
}

/** Without the states from which no string comes to an end. */
function trimmed(states: readonly State[]): State[] {
  const before: number[][] = states.map(() => []);
  for (const [i, { edges }] of states.entries()) for (const { to } of edges) before[to]!.push(i);
  const live = new Set(states.flatMap(({ accepts }, i) => (accepts ? [i] : [])));
  for (const i of live) for (const from of before[i]!) live.add(from);
  if (!live.has(0)) throw new ExpressionError("no string satisfies it");
  const kept = [...live].sort((a, b) => a - b);
  const numbers = new Map(kept.map((old, i) => [old, i]));
  return kept.map((old) => {
    const edges = states[old]!.edges.flatMap(({ characters, to }) => {
      const number = numbers.get(to);
      return number === undefined ? [] : [{ characters, to: number }];
    });
    return { accepts: states[old]!.accepts, edges };
  });
}

/** The fewest and the most characters of a string; most is Infinity where the automaton has a circle, for every state leads to an end. */
function lengthsOf(states: readonly State[]): [least: number, most: number] {
  let least = -1;
  let level = new Set([0]);
  const seen = new Set(level);
  for (let length = 0; level.size > 0; length++) {
    if (least < 0 && [...level].some((i) => states[i]!.accepts)) least = length;
    level = new Set([...level].flatMap((i) => states[i]!.edges.map(({ to }) => to)).filter((to) => !seen.has(to)));
    for (const i of level) seen.add(i);
  }
  // In an order in which every edge leads forward, if there is one, the longest way to each state is known when it is reached.
  const entering = states.map(() => 0);
  for (const { edges } of states) for (const { to } of edges) entering[to]!++;
  const longest = states.map(() => 0);
  const ordered = new Set(entering[0] === 0 ? [0] : []);
  for (const i of ordered) {
    for (const { to } of states[i]!.edges) {
      longest[to] = Math.max(longest[to]!, longest[i]! + 1);
      if (--entering[to]! === 0) ordered.add(to);
    }
  }
  return [least, ordered.size === states.length ? Math.max(...longest) : Number.POSITIVE_INFINITY];
}

/** Characters up to and with the closing quote. */
function nodeOf(states: readonly State[]): Node {
  const spellings = new Map<string, Node>();
  const spell = (characters: Characters): Node => {
    const key = characters.join(";");
    const node = spellings.get(key) ?? spelled(characters);
    spellings.set(key, node);
    return node;
  };
  const nodes: readonly Node[] = states.map((state) => {
    const { run, last } = literalFrom(states, state);
    if (run !== "")
      return sequence(
        text(JSON.stringify(run).slice(1, -1)),
        reference(() => nodes[last]!),
      );
    const further = state.edges.map(({ characters, to }) =>
      sequence(
        spell(characters),
        reference(() => nodes[to]!),
      ),
    );
    return choice(...(state.accepts ? [text('"')] : []), ...further);
  });
  return nodes[0]!;
}

/** The text that must follow, as far as it is one: tokens that spell it whole are counted so. */
function literalFrom(states: readonly State[], from: State): { run: string; last: number } {
  let [run, last, state] = ["", 0, from];
  const seen = new Set<State>();
  while (!state.accepts && state.edges.length === 1 && !seen.has(state)) {
    seen.add(state);
    const { characters, to } = state.edges[0]!;
    const [[low, high]] = characters as readonly [readonly [number, number]];
    if (characters.length > 1 || low !== high) break;
    run += String.fromCodePoint(low);
    [last, state] = [to, states[to]!];
  }
  return { run, last };
}

function spend(budget: Budget, steps: number): void {
  budget.steps -= steps;
  if (budget.steps < 0) throw new ExpressionError("is too complicated");
}
