import { Session } from "node:inspector/promises";

/** What execution time goes to, by the innermost function that says so. */
const PARTS: readonly (readonly [name: string, matches: (name: string, url: string) => boolean])[] = [
  ["signatures", (name, url) => name === "verifySignature" || url.includes("secp256k1")],
  ["lmdb", (_, url) => url.includes("/lmdb")],
  [
    "hashing and trees",
    (name, url) => name === "sha256" || url.includes("/store/iavl/") || url.includes("/noble/hashes"),
  ],
  ["decoding and encoding", (_, url) => /proto\/src\/gen|cosmjs-types|protobuf|tx\/decode|tx\/canonical/.test(url)],
  ["garbage collection", (name) => name === "(garbage collector)"],
  [
    "state access",
    (_, url) => url.includes("chain/src/store/") || url.endsWith("app/state.ts") || url.endsWith("app/context.ts"),
  ],
  ["rules", (_, url) => url.includes("chain/rules/")],
];
const REST = "rest";

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[] | undefined;
}

/** Runs `work` under the sampling profiler; the shares of its parts, the greatest first. */
export async function profiled(work: () => void | Promise<void>): Promise<[part: string, share: number][]> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: 500 });
  await session.post("Profiler.start");
  await work();
  const { profile } = await session.post("Profiler.stop");
  session.disconnect();
  return shares(profile.nodes, profile.samples ?? [], profile.timeDeltas ?? []);
}

function shares(
  nodes: readonly ProfileNode[],
  samples: readonly number[],
  deltas: readonly number[],
): [part: string, share: number][] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)));
  const partOf = (id: number | undefined): string => {
    const node = id === undefined ? undefined : byId.get(id);
    if (node === undefined) return REST;
    const { functionName, url } = node.callFrame;
    return PARTS.find(([, matches]) => matches(functionName, url))?.[0] ?? partOf(parents.get(id!));
  };
  const times = new Map<string, number>();
  let total = 0;
  for (const [at, id] of samples.entries()) {
    if (byId.get(id)?.callFrame.functionName === "(idle)") continue;
    const part = partOf(id);
    times.set(part, (times.get(part) ?? 0) + deltas[at]!);
    total += deltas[at]!;
  }
  return [...times].map(([part, time]): [string, number] => [part, time / total]).sort((a, b) => b[1] - a[1]);
}
