import { createHash } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";
import {
  buildGenesis,
  ensureNodeKey,
  ensureValidatorKey,
  homePaths,
  LOCALNET_PARAMS,
  nodeIdOf,
  writeHomeGenesis,
} from "@karat/chain";
import { publicKeyOf } from "@karat/common";
import type { params } from "@karat/proto";
import type { Profile } from "@karat/rules";
import { upperBound } from "../../../ml-node/src/calibrate/bound.ts";
import { readGgufHeader } from "../../../ml-node/src/engine/llama/gguf.ts";
import { chainHome, modelFile, type NetworkPlan, type ParticipantPlan, profileFile, readKey, url } from "./layout.ts";

const KARAT = 1_000_000n;
/** One KARAT of collateral carries one unit of weight. */
const CAPACITY = 1_000n;
const COLLATERAL = 1_000n * KARAT;
const PRICE = { inputPrice: 2n, outputPrice: 10n };

/**
 * Writes keys and genesis of every chain node: participants with collateral and an offer, a client with money and a
 * deposit. With the solo engine there is one chain node and it belongs to participant 0.
 */
export async function writeGenesis(
  dir: string,
  plan: NetworkPlan,
  change: Partial<params.Params> = {},
  urlOf: (participant: ParticipantPlan) => string = (participant) => url(participant.ports.api),
): Promise<{ readonly nodeIds: readonly string[] }> {
  const homes = plan.chains.map(({ index }) => chainHome(dir, index));
  const consensusKeys = await Promise.all(homes.map(async (home) => (await ensureValidatorKey(home)).publicKey));
  const nodeIds = await Promise.all(homes.map(async (home) => nodeIdOf(await ensureNodeKey(home))));
  const offer = { model: plan.model, ...PRICE, capacity: CAPACITY };
  const genesis = buildGenesis({
    chainId: plan.chainId,
    timeMs: Date.now(),
    // The embedded engine signs alone: nobody else is down.
    params: {
      ...LOCALNET_PARAMS,
      ...(plan.chains.length === 1 && { signedBlocksWindow: 0n }),
      // What the profile certifies: the chain's bets may not be bolder.
      alphaMicros: Math.max(LOCALNET_PARAMS.alphaMicros, certifiedMicros(plan.weights)),
      ...change,
    },
    models: [await modelOf(plan)],
    accounts: [
      { address: plan.client, amount: 1_000_000n * KARAT },
      ...plan.participants.map(({ address }) => ({ address, amount: 10_000n * KARAT })),
    ],
    deposits: [{ client: plan.client, available: 10_000n * KARAT }],
    participants: plan.participants.map((participant) => ({
      operator: participant.address,
      nodeKey: publicKeyOf(readKey(dir, `node-${participant.index}`)),
      validatorAddress: participant.validatorAddress,
      consensusKey: consensusKeys[participant.index] ?? new Uint8Array(),
      url: urlOf(participant),
      collateral: COLLATERAL,
      offers: [offer],
    })),
  });
  for (const home of homes) await writeHomeGenesis(home, genesis);
  return { nodeIds };
}

/** The home of a further chain node, with keys of its own and the network's genesis; gives the node's id. */
export async function writeChainHome(dir: string, index: number): Promise<string> {
  const home = chainHome(dir, index);
  await ensureValidatorKey(home);
  copyFileSync(homePaths(chainHome(dir, 0)).genesis, homePaths(home).genesis);
  return nodeIdOf(await ensureNodeKey(home));
}

/** Upper bound of the false positives of the model's held-out runs, in millionths. */
function certifiedMicros(weights: string): number {
  const { heldOut } = JSON.parse(readFileSync(profileFile(weights), "utf8")) as Pick<Profile, "heldOut">;
  return Math.ceil(upperBound(heldOut.fails, heldOut.runs) * 1_000_000);
}

async function modelOf({ model, weights }: NetworkPlan): Promise<params.Model> {
  const weightsHash = createHash("sha256")
    .update(readFileSync(modelFile(weights)))
    .digest();
  const { metadata } = await readGgufHeader(modelFile(weights));
  const number = (key: string): number => Number(metadata.get(`${metadata.get("general.architecture")}.${key}`));
  return {
    id: model,
    weightsHash: Uint8Array.from(weightsHash),
    contextLength: number("context_length"),
    vocabularySize: 2_048,
    quantization: weights.split("-").at(-1)!,
    number: 1,
    detectionMicros: 0,
    embeddingDimensions: number("embedding_length"),
  };
}
