/** One run of the cheating demo: a participant swaps its model, requests flow, the network convicts it. */
import { setTimeout as sleep } from "node:timers/promises";
import { ChainClient } from "@karat/client";
import { fromHex } from "@karat/common";
import { inference, participant, type reward, verification } from "@karat/proto";
import OpenAI from "openai";
import { isDecided, nameOf, watch } from "./inference.ts";
import { type ParticipantPlan, rpcOf } from "./layout.ts";
import type { Network } from "./network.ts";
import type { Attack } from "./services.ts";

const { CheckStatus, Verdict } = verification;
const { ParticipantStatus } = participant;

const SUBJECTS = [
  "os.rename()",
  "os.path.join()",
  "re.split()",
  "a tuple",
  "perl's map",
  "json.dumps()",
  "open(2)",
  "socket.bind()",
];

/** What a run proved; `convicted` and `honestFailures` are the verdict on the verification itself. */
export interface CheatOutcome {
  readonly attack: string;
  readonly convicted: boolean;
  readonly requests: number;
  readonly byCheater: number;
  readonly failedChecks: number;
  /** Honest participants with a confirmed failure; must be empty. */
  readonly honestFailures: readonly string[];
  readonly refunded: bigint;
  readonly slashed: bigint;
  readonly reward: reward.EpochReward | undefined;
  readonly seconds: number;
}

interface Asked {
  readonly id: string;
  readonly executor: string;
}

export async function runCheat(network: Network, attack: Attack, print: (line: string) => void): Promise<CheatOutcome> {
  const began = Date.now();
  const { plan } = network;
  const cheater = plan.participants.at(-1)!;
  const chain = await ChainClient.connect(rpcOf(plan));
  const client = new OpenAI({ baseURL: network.endpoint, apiKey: network.apiKey, maxRetries: 4 });
  const collateral = (await chain.query.participant(cheater.address))?.collateral ?? 0n;
  const epoch = await chain.query.epoch();
  print(`Participant ${cheater.index} (${cheater.address}) stakes ${collateral} ukarat in epoch ${epoch?.number}.`);
  await network.replaceMl(cheater.index, attack);
  const { model } = attack;
  print(
    attack.kind === "swap"
      ? `It now answers with ${model} and declares ${plan.model} as before.`
      : `It now writes with ${model}, has ${plan.model} score that once, and reports its log-probabilities.`,
  );

  const asked: Asked[] = [];
  const shown = new Set<string>();
  while (asked.length < 200 && !(await isConvicted(chain, cheater))) {
    asked.push(...(await ask(client, plan.model, asked.length)));
    await showInvalid(chain, asked, cheater, shown, print);
  }
  await showInvalid(chain, asked, cheater, shown, print);
  const convicted = await isConvicted(chain, cheater);
  const after = await chain.query.participant(cheater.address);
  if (convicted) {
    const exclusion = (await chain.txSearch(`participant_excluded.participant='${cheater.address}'`))[0];
    print(
      `✓ convicted${exclusion ? ` in block ${exclusion.height}` : ""}: ${nameOf(ParticipantStatus, after?.status)}, collateral ${collateral} → ${after?.collateral} ukarat`,
    );
  }
  const row = convicted ? await rewardOf(chain, cheater, after?.excludedEpoch ?? 0n, print) : undefined;
  const honestFailures = await failuresOf(
    chain,
    plan.participants.filter((p) => p !== cheater),
    asked,
  );
  print(
    honestFailures.length === 0
      ? "✓ no honest participant was found false"
      : `✗ honest participants found false: ${honestFailures.join(", ")}`,
  );
  const refunds = await refundsOf(chain, asked);
  print(`✓ the client was refunded ${refunds.amount} ukarat for ${refunds.count} inferences`);
  chain.close();
  return {
    attack: `${attack.kind}=${attack.model}`,
    convicted,
    requests: asked.length,
    byCheater: asked.filter((a) => a.executor === cheater.address).length,
    failedChecks: refunds.count,
    honestFailures,
    refunded: refunds.amount,
    slashed: collateral - (after?.collateral ?? 0n),
    reward: row,
    seconds: Math.round((Date.now() - began) / 1000),
  };
}

const isConvicted = async (chain: ChainClient, { address }: ParticipantPlan): Promise<boolean> =>
  ((await chain.query.participant(address))?.convictions ?? 0) > 0;

/** Four requests at once, so that several executors are drawn. */
function ask(client: OpenAI, model: string, from: number): Promise<Asked[]> {
  return Promise.all(
    Array.from({ length: 4 }, async (_, i) => {
      const content = `What does ${SUBJECTS[(from + i) % SUBJECTS.length]} do? Explain it in detail. (${from + i})`;
      const { response } = await client.chat.completions
        .create({ model, messages: [{ role: "user", content }], max_tokens: 96 })
        .withResponse();
      return {
        id: response.headers.get("x-karat-inference-id") ?? "",
        executor: response.headers.get("x-karat-executor") ?? "",
      };
    }),
  );
}

/** Waits for the checks of the cheater's answers and prints the records that prove each conviction, once. */
async function showInvalid(
  chain: ChainClient,
  asked: readonly Asked[],
  cheater: ParticipantPlan,
  shown: Set<string>,
  print: (line: string) => void,
): Promise<void> {
  for (const { id, executor } of asked) {
    if (executor !== cheater.address || shown.has(id)) continue;
    shown.add(id);
    const { record, check } = await watch(chain, id, isDecided, 120_000);
    const label = `inference ${id.slice(0, 12)}…`;
    if (check?.status !== CheckStatus.INVALID) {
      print(`  ${label} by the cheater: ${nameOf(CheckStatus, check?.status)} (${record?.completionTokens} tokens)`);
      continue;
    }
    const [start, finish] = await Promise.all(
      ["inference_start", "inference_finish"].map((event) => txOf(chain, event, id)),
    );
    print(`  ${label} attempt ${record?.attempt} drawn by the beacon of height ${record?.anchorHeight}`);
    print(`    started at ${record?.startHeight} (tx ${start}), finished at ${record?.finishHeight} (tx ${finish})`);
    for (const duty of check.duties) {
      const role = duty.committee ? "committee" : "validator";
      const said = duty.missed ? "did not answer" : `${nameOf(Verdict, duty.verdict)}, p ≤ 2^-${duty.pBucket}`;
      print(`    ${role} ${duty.validator}, drawn at ${duty.assignedHeight}: ${said}`);
    }
    const status = nameOf(inference.InferenceStatus, record?.status);
    print(`    → ${status} at height ${check.decidedHeight}; the client gets ${record?.cost} ukarat back`);
  }
}

/** The beginning of the hash of the transaction that emitted an event for an inference. */
async function txOf(chain: ChainClient, event: string, id: string): Promise<string> {
  const [tx] = await chain.txSearch(`${event}.inference_id='${id}'`);
  return tx ? `${tx.hash.slice(0, 12)}…` : "not found";
}

/** The epoch's reward row once it is settled. */
async function rewardOf(
  chain: ChainClient,
  cheater: ParticipantPlan,
  epoch: bigint,
  print: (line: string) => void,
): Promise<reward.EpochReward | undefined> {
  const until = Date.now() + 180_000;
  while (Date.now() < until) {
    const row = await chain.query.epochReward(epoch, cheater.address);
    if (row && (row.excluded || row.emission > 0n)) {
      print(
        `✓ epoch ${epoch} is settled: the cheater earns ${row.emission + row.dutyFees} ukarat (excluded: ${row.excluded})`,
      );
      return row;
    }
    await sleep(500);
  }
  return undefined;
}

async function failuresOf(
  chain: ChainClient,
  honest: readonly ParticipantPlan[],
  asked: readonly Asked[],
): Promise<string[]> {
  const failed = new Set<string>();
  for (const { address } of honest) {
    if (((await chain.query.standing(address))?.fails ?? 0n) > 0n) failed.add(address);
    for (const { id, executor } of asked) {
      if (executor !== address) continue;
      const check = await chain.query.check(fromHex(id));
      if (check?.status === CheckStatus.INVALID) failed.add(address);
    }
  }
  return [...failed];
}

async function refundsOf(chain: ChainClient, asked: readonly Asked[]): Promise<{ count: number; amount: bigint }> {
  let count = 0;
  let amount = 0n;
  for (const { id } of asked) {
    const record = await chain.query.inference(fromHex(id));
    if (record?.status !== inference.InferenceStatus.INVALID) continue;
    count += 1;
    amount += record.cost;
  }
  return { count, amount };
}
