import { sha256 } from "@karat/common";
import { typeUrls, verification } from "@karat/proto";
import type { Plan, World } from "../world.ts";

const { Verdict } = verification;
const ANY = [Verdict.VALID, Verdict.INVALID, Verdict.UNAVAILABLE, Verdict.ABSTAIN] as const;

/** One sidecar answers what it was drawn for, according to its operator's temper. */
export function answerDuties(world: World): Plan | undefined {
  const { random } = world;
  const duties = world.duties();
  if (duties.size === 0) return undefined;
  const operator = random.pick([...duties.keys()].sort());
  const { temper, validator } = world.operatorOf(operator);
  const verdicts = random
    .some(duties.get(operator)!, temper === "lazy" ? 15 : 90)
    .map(({ inferenceId }) => recordOf(world, inferenceId, verdictOf(world, operator, inferenceId)));
  return verdicts.length === 0 ? undefined : submission(validator, verdicts);
}

function verdictOf(world: World, operator: string, id: Uint8Array): verification.Verdict {
  const { random } = world;
  if (random.percent(6)) return Verdict.ABSTAIN;
  if (world.operatorOf(operator).temper === "liar" && random.percent(40)) return random.pick(ANY);
  if (world.order(id)?.bad !== true) return Verdict.VALID;
  return random.percent(85) ? Verdict.INVALID : Verdict.UNAVAILABLE;
}

/** Verdicts that nobody asked for: of strangers, too late, changed, malformed. */
export function intrude(world: World): Plan | undefined {
  const { random } = world;
  const orders = world.ordersWhere(({ state }) => state === "finished");
  if (orders.length === 0) return undefined;
  const { validator } = random.pick(world.operators);
  const verdicts = random.some(orders, 30).map(({ id }) => {
    const record = recordOf(world, id, random.pick(ANY));
    if (random.percent(10)) return { ...record, verdict: Verdict.UNSPECIFIED };
    if (random.percent(10)) return { ...record, evidenceHash: random.bytes(3) };
    return random.percent(10) ? { ...record, inferenceId: random.bytes(32) } : record;
  });
  return verdicts.length === 0 ? undefined : submission(validator, verdicts);
}

function recordOf(world: World, inferenceId: Uint8Array, verdict: verification.Verdict): verification.VerdictRecord {
  return {
    inferenceId,
    verdict,
    pBucket: world.random.int(11),
    distanceMicros: BigInt(world.random.int(1_000_000)),
    gatedMargins: world.random.int(5),
    positions: world.random.int(200),
    evidenceHash: sha256(inferenceId),
  };
}

const submission = (validator: Plan["signer"], verdicts: readonly verification.VerdictRecord[]): Plan => ({
  signer: validator,
  messages: [{ typeUrl: typeUrls.submitVerdicts, value: { sender: validator.address, verdicts } }],
  free: true,
});
