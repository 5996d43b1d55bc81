import { isKaratError, KaratError } from "@karat/common";
import type { BankGenesis } from "../../chain/src/modules/bank/index.ts";
import { supply } from "../../chain/src/modules/bank/keys.ts";
import { minted } from "../../chain/src/modules/reward/keys.ts";
import { attributesOf, Coverage, eventsOf, follow } from "./coverage.ts";
import { nextMempool } from "./operations/index.ts";
import { type ExecutedBlock, Pair } from "./pair.ts";
import { Random } from "./random.ts";
import type { Genesis, Replica } from "./replica.ts";
import { World } from "./world.ts";

export interface SimulationOptions {
  readonly seed: string;
  readonly blocks: number;
  /** Goes on beyond `blocks`, up to so many, while an outcome is missing. */
  readonly blocksAtMost?: number;
  /** Every so many blocks the state is exported and the chain goes on from it; 0: never. */
  readonly exportEvery?: number;
  readonly onBlock?: (block: ExecutedBlock, coverage: Coverage) => void;
}

export interface SimulationResult {
  readonly coverage: Coverage;
  readonly exports: number;
  readonly appHash: Uint8Array;
}

/**
 * Random blocks on two replicas. Throws KaratError `simulation_failed` with seed and height, its cause what went wrong:
 * `replicas_differ`, `invariant_broken`, `money_broken`, `export_differs`, or whatever a module threw.
 */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const { seed, blocks, blocksAtMost = blocks, exportEvery = 0 } = options;
  const random = new Random(seed);
  const world = new World("karat-simulation", random);
  const coverage = new Coverage();
  const appState = world.appState();
  let pair = await Pair.open({ chainId: world.chainId, seed, initialHeight: 1n, appState });
  let exports = 0;
  try {
    const genesisSupply = supplyAtGenesis(pair.memory);
    let appHash = pair.memory.store.appHash();
    let issued = 0n;
    let exportedLast = false;
    for (let i = 1; i <= blocks || (i <= blocksAtMost && coverage.missing().length > 0); i++) {
      world.begin(pair.memory.context(), pair.memory.next);
      const block = pair.execute(i === 1 || exportedLast ? [] : nextMempool(world), random);
      world.begin(pair.memory.context(), pair.memory.next);
      coverage.add(block, world);
      follow(world, block);
      issued += emissionOf(block);
      checkMoney(pair.memory, genesisSupply, issued);
      options.onBlock?.(block, coverage);
      appHash = pair.memory.store.appHash();
      exportedLast = exportEvery > 0 && i % exportEvery === 0;
      if (exportedLast) {
        pair = await reborn(pair, seed);
        world.orders.clear();
        exports++;
      }
    }
    return { coverage, exports, appHash };
  } catch (error) {
    const data = { seed, height: pair.memory.next, ...(isKaratError(error) && { code: error.code, ...error.data }) };
    throw new KaratError("simulation_failed", `seed ${seed} at height ${pair.memory.next}: ${error}`, data, error);
  } finally {
    pair.close();
  }
}

/** What the bank holds before the first block, the module accounts included. */
function supplyAtGenesis(replica: Replica): bigint {
  const { balances = [] } = replica.app.exportGenesis().bank as BankGenesis;
  return balances.flatMap(({ coins }) => coins).reduce((sum, { amount }) => sum + BigInt(amount), 0n);
}

function emissionOf(block: ExecutedBlock): bigint {
  return eventsOf(block)
    .filter(({ type }) => type === "rewards_settled")
    .reduce((sum, event) => sum + BigInt(attributesOf(event).emission ?? "0"), 0n);
}

/** No coin comes into being but by the emission, and none goes. */
function checkMoney(replica: Replica, genesisSupply: bigint, issued: bigint): void {
  const ctx = replica.context();
  const total = supply.get(ctx.store("bank")) ?? 0n;
  const recorded = minted.get(ctx.store("reward")) ?? 0n;
  if (total !== genesisSupply + issued || recorded !== issued) {
    throw new KaratError("money_broken", "the supply is not genesis and emission", {
      total,
      genesisSupply,
      issued,
      recorded,
    });
  }
}

/** Ends the chain, starts another from its exported state, and compares what that one exports. */
async function reborn(pair: Pair, seed: string): Promise<Pair> {
  const exported = pair.memory.app.exportGenesis();
  const before = JSON.stringify(exported);
  const fromDisk = JSON.stringify(pair.disk.app.exportGenesis());
  if (fromDisk !== before) throw new KaratError("export_differs", "the replicas export different states");
  const { chainId } = pair.memory.genesis;
  const genesis: Genesis = { chainId, seed, initialHeight: pair.memory.next, appState: JSON.parse(before) };
  pair.close();
  const next = await Pair.open(genesis);
  const after = JSON.stringify(next.memory.app.exportGenesis());
  if (after !== before) throw new KaratError("export_differs", "import and export change the state", { before, after });
  return next;
}
