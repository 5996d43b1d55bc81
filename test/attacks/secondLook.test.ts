/**
 * A18, second looks in a large network: a cartel whose members agree on invented values, against an honest validator; and a lazy one among the honest.
 * Real draws, the chain's comparison and standings.
 */
import { verification } from "@karat/proto";
import { committeeDraw, domainHash, weightedOrder } from "@karat/rules";
import { describe, expect, test } from "vitest";
import { DEFAULT_PARAMS } from "../../chain/src/modules/params/index.ts";
import { isUnreliable, newStanding } from "../../chain/src/modules/reputation/transition.ts";
import { valuesOf } from "../../chain/src/modules/testing/values.ts";
import { findingsOf } from "../../chain/src/modules/verification/windows.ts";
import { wilson } from "./wilson.ts";

const { Verdict, CheckStatus } = verification;
const MEMBERS = Array.from({ length: 30 }, (_, i) => ({ id: `m${i}`, weight: 100n }));
const TOKENS = 8;
const HONEST = valuesOf("model", TOKENS).windows[0]!;
const INVENTED = valuesOf("invented together", TOKENS).windows[0]!;

/** In how many of `looks` second looks at the validator its values were found apart. */
function apart(validator: { id: string; invents: boolean }, share: number, looks: number): number {
  const others = MEMBERS.filter(({ id }) => id !== validator.id);
  const order = weightedOrder(domainHash("karat/test/second-cartel", validator.id), others);
  const cartel = new Set(order.slice(0, Math.round(share * MEMBERS.length)));
  if (validator.invents) cartel.add(validator.id);
  let found = 0;
  for (let i = 0; i < looks; i++) {
    const beacon = domainHash("karat/test/second-beacon", BigInt(i));
    const committee = committeeDraw({
      beacon,
      inferenceId: beacon,
      size: DEFAULT_PARAMS.committeeSize,
      candidates: others,
    });
    const duties = [validator.id, ...committee].map((id, n) =>
      verification.Duty.fromPartial({
        validator: id,
        committee: n > 0,
        verdict: Verdict.VALID,
        commitment: new Uint8Array(32),
        window: cartel.has(id) ? INVENTED : HONEST,
        windowPositions: TOKENS,
      }),
    );
    const check = verification.Check.fromPartial({ status: CheckStatus.COMMITTEE, secondLook: true, duties });
    if (findingsOf(check).apart.includes(validator.id)) found++;
  }
  return found;
}

const isDistrusted = (looks: number, found: number): boolean =>
  isUnreliable({ ...newStanding("m0"), looks: BigInt(looks), apart: BigInt(found) }, DEFAULT_PARAMS.verdictErrorMicros);

const LOOKS = 400;

describe("an honest validator", () => {
  test.each([
    [0, 0],
    [0.1, 0],
    [0.2, 0.02],
  ])(
    "is framed by a cartel of %d of the weight in at most %d of the second looks at it, and stays trusted",
    (share, most) => {
      const found = apart({ id: "m0", invents: false }, share, LOOKS);
      expect(wilson(found, LOOKS).low).toBeLessThanOrEqual(most);
      expect(found / LOOKS).toBeLessThanOrEqual(most);
      expect(isDistrusted(LOOKS, found)).toBe(false);
    },
  );

  test("is not protected for certain where a third of the weight is in one hand", () => {
    const { low, high } = wilson(apart({ id: "m0", invents: false }, 1 / 3, LOOKS), LOOKS);
    expect(low).toBeGreaterThan(0.01);
    expect(high).toBeLessThan(0.1);
  });
});

describe("a validator that computes nothing", () => {
  test.each([0, 0.2])("is found by every second look nearly, with %d of the weight agreeing with it", (share) => {
    const found = apart({ id: "m0", invents: true }, share, LOOKS);
    expect(wilson(found, LOOKS).low).toBeGreaterThan(share === 0 ? 0.98 : 0.6);
  });

  test("is distrusted after five at the latest", () => {
    expect([1, 2, 3, 4, 5].find((looks) => isDistrusted(looks, looks))).toBeLessThanOrEqual(5);
    // Also after a past in which it computed.
    expect(isDistrusted(1_000, 60)).toBe(true);
  });
});
