/**
 * A18 for a whole network: a cartel of executors and validators that holds a share of the weight. Real draws, the chain's tally and standings; who is in the cartel lies, everybody else finds the truth. Rates with their
 * Wilson intervals are in docs/threat-model.md.
 */
import { reputation, verification } from "@karat/proto";
import { committeeDraw, domainHash, weightedOrder } from "@karat/rules";
import { describe, expect, test } from "vitest";
import { DEFAULT_PARAMS } from "../../chain/src/modules/params/index.ts";
import {
  addFail,
  addPass,
  distrust,
  isUnreliable,
  newStanding,
} from "../../chain/src/modules/reputation/transition.ts";
import { overruledBy, tally } from "../../chain/src/modules/verification/transition.ts";
import { wilson } from "./wilson.ts";

const { Verdict } = verification;
const { StandingState } = reputation;
const MEMBERS = 30;

class Cartel {
  readonly #members = Array.from({ length: MEMBERS }, (_, i) => ({ id: `m${i}`, weight: 100n }));
  readonly #cartel: ReadonlySet<string>;
  readonly #standings = new Map<string, reputation.Standing>();
  readonly #size: number;
  readonly executor: string;
  #draws = 0n;

  constructor(share: number, cheats: boolean, seed: string, size = DEFAULT_PARAMS.committeeSize) {
    this.#size = size;
    const order = weightedOrder(domainHash("karat/test/cartel", seed), this.#members);
    const count = Math.round(share * MEMBERS);
    this.#cartel = new Set(order.slice(0, count));
    // The executor that is judged: of the cartel, or its victim.
    this.executor = cheats ? order[0]! : order.at(-1)!;
  }

  standing = (id: string): reputation.Standing => this.#standings.get(id) ?? newStanding(id);

  /** Whether the cartel has a vote: its members say the opposite of what is so. */
  check(isFalse: boolean): "pass" | "fail" {
    this.#draws++;
    const beacon = domainHash("karat/test/beacon", this.executor, this.#draws);
    const inferenceId = domainHash("karat/test/id", this.executor, this.#draws);
    const epoch = 1n;
    const candidates = this.#members.filter(
      ({ id }) => id !== this.executor && this.standing(id).unreliableUntil <= epoch,
    );
    // The first of what `dutyOrder` gives.
    const validator = weightedOrder(domainHash("karat/duty-order", beacon, inferenceId), candidates, 1)[0]!;
    const duties = [this.#answer(validator, isFalse)];
    if (duties[0]!.verdict === Verdict.VALID) return this.#end(duties, "pass");
    const committee = committeeDraw({
      beacon: domainHash("karat/test/next", beacon),
      inferenceId,
      size: this.#size,
      candidates: candidates.filter(({ id }) => id !== validator),
    });
    for (const member of committee) duties.push(this.#answer(member, isFalse));
    const check = verification.Check.fromPartial({ duties });
    const decision = tally(check, DEFAULT_PARAMS.committeeQuorum);
    for (const id of overruledBy(check, decision)) this.#overrule(id, epoch);
    return this.#end(duties, decision === "uphold" ? "fail" : "pass");
  }

  #answer(validator: string, isFalse: boolean): verification.Duty {
    const truth = isFalse ? Verdict.INVALID : Verdict.VALID;
    const lie = isFalse ? Verdict.VALID : Verdict.INVALID;
    return verification.Duty.fromPartial({ validator, verdict: this.#cartel.has(validator) ? lie : truth });
  }

  #end(duties: readonly verification.Duty[], result: "pass" | "fail"): "pass" | "fail" {
    for (const { validator } of duties) {
      const before = this.standing(validator);
      this.#standings.set(validator, { ...before, dutiesAssigned: before.dutiesAssigned + 1n });
    }
    const accusers = duties.filter(({ verdict }) => verdict === Verdict.INVALID).map(({ validator }) => validator);
    const before = this.standing(this.executor);
    const after = result === "fail" ? addFail(before, accusers, DEFAULT_PARAMS) : addPass(before, DEFAULT_PARAMS);
    this.#standings.set(this.executor, after);
    return result;
  }

  #overrule(id: string, epoch: bigint): void {
    const before = this.standing(id);
    const after = { ...before, overruled: before.overruled + 1n };
    const unreliable = isUnreliable(after, DEFAULT_PARAMS.verdictErrorMicros);
    this.#standings.set(id, unreliable ? distrust(after, epoch) : after);
  }
}

/** Of `runs` networks, in how many the executor was excluded within `checks`, and after how many in the median. */
function excluded(share: number, cheats: boolean, runs: number, checks: number, size?: number) {
  const after: number[] = [];
  for (let run = 0; run < runs; run++) {
    const cartel = new Cartel(share, cheats, `${share} ${cheats} ${run}`, size);
    for (let i = 1; i <= checks; i++) {
      cartel.check(cheats);
      if (cartel.standing(cartel.executor).state !== StandingState.EXCLUDED) continue;
      after.push(i);
      break;
    }
  }
  const { low, high } = wilson(after.length, runs);
  return { count: after.length, low, high, median: after.sort((a, b) => a - b)[Math.floor(after.length / 2)] };
}

const RUNS = 20;

describe("an executor of the cartel that cheats always", () => {
  test.each([
    [0, 5],
    [0.1, 6],
    [0.2, 9],
    [1 / 3, 25],
  ])("is excluded, with a cartel of %d of the weight within %i checks in the median", (share, most) => {
    const found = excluded(share, true, RUNS, 100);
    expect(found.count).toBe(RUNS);
    expect(found.median).toBeLessThanOrEqual(most);
  });
});

describe("an honest executor that a cartel accuses whenever it is asked", () => {
  test.each([0, 0.1, 0.2])("is never excluded with %d of the weight against it", (share) => {
    expect(excluded(share, false, RUNS, 100).count).toBe(0);
  });

  test("at a third of the weight, the committee of five no longer protects for certain, one of fifteen does", () => {
    const five = excluded(1 / 3, false, RUNS, 100);
    const fifteen = excluded(1 / 3, false, RUNS, 100, 15);
    expect(fifteen.count).toBeLessThan(five.count);
    expect(fifteen.low).toBeLessThan(0.1);
  });
});
