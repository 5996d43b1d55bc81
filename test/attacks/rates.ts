/** Attacks that are no text of a model, A13, A18, A19, A24, and those on embeddings: trials and how many of them were found, stopped or without gain. */
import { verification } from "@karat/proto";
import { domainHash, dutyDraw, valuesAgree, valuesWindows } from "@karat/rules";
import { TestNetwork } from "../../chain/src/modules/testing/network.ts";
import { finishOf, type Request } from "../../chain/src/modules/testing/records.ts";
import { runWorkload } from "../../ml-node/src/calibrate/runs.ts";
import { type WorkItem, workload } from "../../ml-node/src/calibrate/workload.ts";
import type { InferenceEngine } from "../../ml-node/src/engine/engine.ts";
import { artifactPosition, codingOf } from "../../ml-node/src/service/artifact.ts";
import { hidden } from "./brokenRequests.ts";
import { EMBEDDING_ATTACKS } from "./embeddings.ts";
import type { Lab } from "./lab.ts";

const { CheckStatus: Status, Verdict } = verification;

export interface RateAttack {
  readonly id: string;
  readonly name: string;
  /** What was counted of the trials. */
  readonly counted: string;
  /** Least share that is promised; for `honest` ones the largest. */
  readonly promise?: number;
  readonly honest?: boolean;
  /** Cheap: so many times the trials. */
  readonly factor?: number;
  run(count: number, lab: Lab): Promise<number> | number;
}

const CHECKED = 300_000;
const ALWAYS = { secondLookMicros: 1_000_000 };

/** Cheats where the newest beacon that it knows when it records would draw no check; only those trials count. */
function guessing(count: number): number {
  let checked = 0;
  for (let i = 0, cheats = 0; cheats < count; i++) {
    const inferenceId = domainHash("karat/test/id", BigInt(i));
    const drawn = (height: string): boolean =>
      dutyDraw({
        beacon: domainHash("karat/test/beacon", height, BigInt(i)),
        inferenceId,
        rateMicros: CHECKED,
      });
    if (drawn("known")) continue;
    cheats++;
    if (drawn("after")) checked++;
  }
  return checked;
}

/** Puts an honest record in the place of the false one as soon as it knows of the check. */
function replacing(count: number): number {
  const network = new TestNetwork();
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const request = network.drawn({}, { artifactRoot: new Uint8Array(32).fill(1) });
    const root = network.record(request)!.root;
    const code = network.finish([finishOf(request, { artifactRoot: new Uint8Array(32).fill(2) })], request.executor)[0];
    if (code !== 0 && Buffer.compare(root, network.record(request)!.root) === 0) refused++;
    for (const validator of network.dutiesOf(request)) network.judge(request.id, validator);
  }
  return refused;
}

interface Behaviour {
  readonly first: verification.Verdict;
  readonly invents: boolean;
  /** Whether the answer is false: what those who compute find. */
  readonly isFalse: boolean;
}

/** One check with a second look, by one who behaves like that and honest others. */
function secondLook(
  { first, invents, isFalse }: Behaviour,
  names: readonly string[],
): { network: TestNetwork; request: Request; validator: string } {
  const network = new TestNetwork(names, ALWAYS);
  const request = network.drawn({}, { completionTokens: 90 });
  const validator = network.dutiesOf(request)[0]!;
  if (invents) network.inventors.add(validator);
  if (first === Verdict.ABSTAIN && !invents) network.reveal(request.id, validator, first);
  else network.judge(request.id, validator, first);
  network.block(2);
  const members = network.dutiesOf(request);
  for (const member of members) network.commit(request.id, member);
  network.block();
  network.reveal(request.id, validator, first);
  for (const member of members) network.reveal(request.id, member, isFalse ? Verdict.INVALID : Verdict.VALID);
  return { network, request, validator };
}

/** In networks of five to eight participants. */
const looked =
  (behaviour: Behaviour, found: (look: ReturnType<typeof secondLook>) => boolean) =>
  (count: number): number => {
    let hits = 0;
    for (let i = 0; i < count; i++) {
      const names = Array.from({ length: 5 + (i % 4) }, (_, n) => `p${i}x${n}`);
      if (found(secondLook(behaviour, names))) hits++;
    }
    return hits;
  };

function* texts(): Generator<WorkItem> {
  for (const item of workload(20_261_124)) if (!("messages" in item.input)) yield { ...item, maxTokens: 32 };
}

/** Windows of values of a validator that scores with `engine`, beside those of one that scores with the declared model. */
const apart =
  (engineOf: (lab: Lab) => InferenceEngine) =>
  async (count: number, lab: Lab): Promise<number> => {
    const coding = codingOf(lab.profile);
    const setting = { name: "values", executor: lab.declared, validator: engineOf(lab), concurrency: 4 };
    let hits = 0;
    let trials = 0;
    for await (const { answer, validator } of runWorkload(setting, texts(), 4 * count, 20)) {
      const { promptIds, tokenIds: outputIds } = answer;
      if (outputIds.length < 32) continue;
      const own = await lab.declared.score({ promptIds, outputIds, top: 72 });
      const [a, b] = [own, validator].map((positions) => {
        const coded = positions.map((top, i) => {
          const id = outputIds[i]!;
          return artifactPosition({ id, logprob: top.find((entry) => entry.id === id)?.logprob ?? -20, top }, coding.k);
        });
        return valuesWindows(coded, coding)[0]!;
      });
      if (!valuesAgree(a!, b!, 32)) hits++;
      if (++trials === count) return hits;
    }
    throw new Error(`only ${trials} trials of ${count}`);
  };

export const RATE_ATTACKS: readonly RateAttack[] = [
  {
    id: "A13",
    name: "cheats where the newest beacon it knows would draw no check, at a rate of 30 %",
    counted: "checked all the same",
    promise: 0.27,
    run: guessing,
    factor: 10,
  },
  {
    id: "A13",
    name: "replaces its record when it is drawn for a check",
    counted: "refused",
    promise: 1,
    run: replacing,
  },
  {
    id: "A18",
    name: "a validator that computes nothing and finds everything valid",
    counted: "found apart and fined, of second looks",
    promise: 1,
    run: looked(
      { first: Verdict.VALID, invents: true, isFalse: false },
      ({ network, validator }) => network.standing(validator).apart === 1n,
    ),
  },
  {
    id: "A18",
    name: "a validator that computes nothing and always abstains",
    counted: "overruled, of second looks",
    promise: 0.7,
    run: looked(
      { first: Verdict.ABSTAIN, invents: false, isFalse: false },
      ({ network, validator }) => network.standing(validator).overruled === 1n,
    ),
  },
  {
    id: "A18",
    name: "a bought validator that passes a false answer",
    counted: "convicted executor, of second looks",
    promise: 1,
    run: looked(
      { first: Verdict.VALID, invents: false, isFalse: true },
      ({ network, request }) => network.check(request)?.status === Status.INVALID,
    ),
  },
  {
    id: "A18",
    name: "an honest validator in a second look",
    counted: "found apart or overruled",
    honest: true,
    promise: 0,
    run: looked({ first: Verdict.VALID, invents: false, isFalse: false }, ({ network }) =>
      network.operators.some(
        (operator) => network.standing(operator).apart + network.standing(operator).overruled > 0n,
      ),
    ),
  },
  {
    id: "A18",
    name: "a validator that scores with the mini model",
    counted: "windows apart",
    promise: 0.95,
    run: apart((lab) => lab.mini),
  },
  { id: "A18", name: "a validator that scores with 4 bits", counted: "windows apart", run: apart((lab) => lab.q4) },
  { id: "A18", name: "a validator that scores with 8 bits", counted: "windows apart", run: apart((lab) => lab.q8) },
  {
    id: "A18",
    name: "an honest validator on other kernels",
    counted: "windows apart",
    honest: true,
    promise: 0,
    run: apart((lab) => lab.noisy),
  },
  {
    id: "A24",
    name: "the mini model's answers behind requests that break the validator",
    counted: "not passed",
    promise: 1,
    run: hidden,
  },
  ...EMBEDDING_ATTACKS,
];
