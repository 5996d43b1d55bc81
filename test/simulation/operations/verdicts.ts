import { sha256 } from "@karat/common";
import { typeUrls, verification } from "@karat/proto";
import { checkCommitment } from "@karat/rules";
import { type OwnValues, valuesOf, windowOf } from "../../../chain/src/modules/testing/values.ts";
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
  const chosen = random.some(duties.get(operator)!, temper === "lazy" ? 15 : 90);
  const commitments = chosen.map(({ inferenceId }) => commitmentOf(world, operator, inferenceId));
  // Some only commit, and answer another time or never.
  const verdicts = random.some(chosen, 80).map((check) => {
    const given = check.duties.find(({ validator }) => validator === operator)?.verdict;
    const verdict = given || verdictOf(world, operator, check.inferenceId);
    const record = recordOf(world, check.inferenceId, verdict, operator);
    // A second look has its window opened, sometimes another one.
    const window = random.percent(3) ? 1 + random.int(4) : world.windowOf(check);
    return { ...record, window: windowOf(valuesFor(world, operator), window) };
  });
  return commitments.length === 0 ? undefined : submission(validator, verdicts, commitments);
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
  const { validator, operator } = random.pick(world.operators);
  const verdicts = random.some(orders, 30).map(({ id }) => {
    const record = recordOf(world, id, random.pick(ANY), operator.address);
    if (random.percent(10)) return { ...record, verdict: Verdict.UNSPECIFIED };
    if (random.percent(10)) return { ...record, evidenceHash: random.bytes(3) };
    if (random.percent(10)) return { ...record, salt: random.bytes(random.int(70)) };
    return random.percent(10) ? { ...record, inferenceId: random.bytes(32) } : record;
  });
  return verdicts.length === 0 ? undefined : submission(validator, verdicts);
}

function recordOf(
  world: World,
  inferenceId: Uint8Array,
  verdict: verification.Verdict,
  operator: string,
): verification.VerdictRecord {
  return {
    inferenceId,
    verdict,
    pBucket: world.random.int(11),
    distanceMicros: BigInt(world.random.int(1_000_000)),
    evidenceHash: sha256(inferenceId),
    ...openingOf(world, operator, inferenceId),
    window: undefined,
  };
}

/** Liars make theirs up. Enough for every output here. */
function valuesFor(world: World, operator: string): OwnValues {
  return world.operatorOf(operator).temper === "liar" ? MADE_UP : COMPUTED;
}
const COMPUTED = valuesOf("model", 128);
const MADE_UP = valuesOf("made up", 128);

function openingOf(world: World, operator: string, salt: Uint8Array) {
  const { valuesHash, positions } = valuesFor(world, operator);
  return { valuesHash, positions, salt, gatedMargins: 1 };
}

function commitmentOf(world: World, validator: string, inferenceId: Uint8Array): verification.CheckCommitment {
  const values = { chainId: world.chainId, inferenceId, validator, ...openingOf(world, validator, inferenceId) };
  // A few bind themselves to nothing that they could open.
  const commitment = world.random.percent(3) ? world.random.bytes(32) : checkCommitment(values);
  return { inferenceId, commitment };
}

function submission(
  signer: Plan["signer"],
  verdicts: readonly verification.VerdictRecord[],
  commitments: readonly verification.CheckCommitment[] = [],
): Plan {
  const sender = signer.address;
  const messages = [
    ...(commitments.length > 0 ? [{ typeUrl: typeUrls.commitChecks, value: { sender, commitments } }] : []),
    ...(verdicts.length > 0 ? [{ typeUrl: typeUrls.submitVerdicts, value: { sender, verdicts } }] : []),
  ];
  return { signer, messages, free: true };
}
