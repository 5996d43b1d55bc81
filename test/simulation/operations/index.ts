/** The weighted generator of transactions. */
import type { Plan, World } from "../world.ts";
import { fundProposal, propose, vote } from "./governance.ts";
import { deposit, failLate, multiSend, requestRefund, send, withdraw } from "./money.ts";
import { addCollateral, claim, leave, register, unjail, update, withdrawCollateral } from "./participants.ts";
import { continueOrders, deliverOrders, finishOrders, sendAgain, startOrders } from "./records.ts";
import { answerDuties, intrude } from "./verdicts.ts";

type Operation = (world: World) => Plan | undefined;

const OPERATIONS: readonly { readonly weight: number; readonly value: Operation }[] = [
  { weight: 20, value: startOrders },
  { weight: 24, value: finishOrders },
  { weight: 6, value: continueOrders },
  { weight: 14, value: deliverOrders },
  { weight: 40, value: answerDuties },
  { weight: 2, value: intrude },
  { weight: 3, value: sendAgain },
  { weight: 4, value: deposit },
  { weight: 2, value: requestRefund },
  { weight: 2, value: withdraw },
  { weight: 2, value: send },
  { weight: 1, value: multiSend },
  { weight: 1, value: failLate },
  { weight: 3, value: register },
  { weight: 2, value: update },
  { weight: 1, value: addCollateral },
  { weight: 1, value: leave },
  { weight: 2, value: withdrawCollateral },
  { weight: 5, value: claim },
  { weight: 2, value: unjail },
  { weight: 4, value: propose },
  { weight: 2, value: fundProposal },
  { weight: 12, value: vote },
];

const MAX_OPERATIONS = 14;

/** What lies in the mempool before the next block: signed transactions, a share of them wrong in form, key or fee. */
export function nextMempool(world: World): Uint8Array[] {
  const { random } = world;
  if (random.percent(6)) return [];
  const mempool: Uint8Array[] = [];
  const count = random.between(1, MAX_OPERATIONS);
  for (let i = 0; i < count; i++) {
    const plan = random.weighted(OPERATIONS)(world);
    if (plan !== undefined) mempool.push(world.tx(random.percent(6) ? spoil(world, plan) : plan));
  }
  if (random.percent(5)) mempool.push(random.bytes(random.between(0, 200)));
  if (mempool.length > 0 && random.percent(5)) mempool.push(random.pick(mempool));
  if (mempool.length > 0 && random.percent(5)) {
    const bent = Uint8Array.from(random.pick(mempool));
    if (bent.length > 0) bent[random.int(bent.length)]! ^= 1 << random.int(8);
    mempool.push(bent);
  }
  return mempool;
}

function spoil(world: World, plan: Plan): Plan {
  const { random } = world;
  return random.pick<() => Plan>([
    () => ({ ...plan, sequenceOff: 1n }),
    () => ({ ...plan, sequenceOff: 1n, chainId: "karat-other" }),
    () => ({ ...plan, sequenceOff: 1n, accountNumberOff: 1n }),
    () => ({ ...plan, signer: random.pick(world.operators).validator }),
    () => ({ ...plan, fee: 1n }),
    () => ({ ...plan, gasLimit: 20_000n, ...(plan.free ? {} : { fee: 1_000n }) }),
    () => ({ ...plan, gasLimit: 100n, ...(plan.free ? {} : { fee: 1_000n }) }),
    () => ({ ...plan, gasLimit: 10n ** 12n }),
    () => ({ ...plan, timeoutHeight: 1n }),
    () => ({ ...plan, memo: "m".repeat(300) }),
    // Paid although it could be free: takes the other lane, and mostly cannot pay.
    () => ({ ...plan, free: false }),
  ])();
}
