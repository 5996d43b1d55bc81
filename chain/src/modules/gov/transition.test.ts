import { VoteOption } from "cosmjs-types/cosmos/gov/v1/gov";
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkOptions, initialDeposit, microsText, outcome, tally, weightOf } from "./transition.ts";

const ONE = 10n ** 18n;
const OPTIONS = [
  VoteOption.VOTE_OPTION_YES,
  VoteOption.VOTE_OPTION_ABSTAIN,
  VoteOption.VOTE_OPTION_NO,
  VoteOption.VOTE_OPTION_NO_WITH_VETO,
];
const text = (weight: bigint) => `${weight / ONE}.${String(weight % ONE).padStart(18, "0")}`;

/** Options whose weights sum to one. */
const split = fc
  .tuple(
    fc.shuffledSubarray(OPTIONS, { minLength: 1 }),
    fc.array(fc.bigInt({ min: 1n, max: ONE / 4n }), { minLength: 3, maxLength: 3 }),
  )
  .map(([options, parts]) =>
    options.map((option, i) => {
      const rest = parts.slice(0, options.length - 1).reduce((sum, part) => sum - part, ONE);
      return { option, weight: text(i === options.length - 1 ? rest : parts[i]!) };
    }),
  );
const ballots = fc.array(fc.record({ power: fc.bigInt({ min: 0n, max: 1n << 54n }), options: split }), {
  maxLength: 30,
});
const rules = fc.record({
  govQuorumMicros: fc.integer({ min: 0, max: 1_000_000 }),
  govThresholdMicros: fc.integer({ min: 500_000, max: 999_999 }),
  govVetoMicros: fc.integer({ min: 1, max: 1_000_000 }),
});

test("no vote counts for more than its weight, and less than one unit of an option is rounded away", () => {
  fc.assert(
    fc.property(ballots, (cast) => {
      const votes = cast.map(({ options }, i) => ({ voter: `v${i}`, options }));
      for (const { options } of votes) checkOptions(options);
      const weights = new Map(cast.map(({ power }, i) => [`v${i}`, power]));
      const { yes, abstain, no, veto, voted } = tally(votes, weights);
      const given = cast.reduce((sum, { power }) => sum + power, 0n);
      expect(voted).toBe(given);
      expect(yes + abstain + no + veto).toBeLessThanOrEqual(voted);
      expect(voted - (yes + abstain + no + veto)).toBeLessThanOrEqual(BigInt(4 * cast.length));
      // In whatever order they are read.
      expect(tally([...votes].reverse(), weights)).toEqual({ yes, abstain, no, veto, voted });
      expect(tally(votes, new Map())).toEqual({ yes: 0n, abstain: 0n, no: 0n, veto: 0n, voted: 0n });
    }),
  );
});

test("more yes never turns a pass into a refusal, more no or veto never a refusal into a pass", () => {
  const amount = fc.bigInt({ min: 0n, max: 1n << 54n });
  fc.assert(
    fc.property(
      fc.record({ yes: amount, abstain: amount, no: amount, veto: amount }),
      amount,
      amount,
      rules,
      (sums, silent, extra, given) => {
        const voted = sums.yes + sums.abstain + sums.no + sums.veto;
        const total = voted + silent + extra;
        const before = outcome({ ...sums, voted }, total, given);
        const withYes = outcome({ ...sums, yes: sums.yes + extra, voted: voted + extra }, total, given);
        if (before === "passed") expect(withYes).toBe("passed");
        const withVeto = outcome(
          { ...sums, yes: sums.yes - min(extra, sums.yes), veto: sums.veto + min(extra, sums.yes), voted },
          total,
          given,
        );
        if (before !== "passed") expect(withVeto).not.toBe("passed");
        // Nothing passes against a majority of those who take a side.
        if (before === "passed") expect(sums.yes).toBeGreaterThan(sums.no + sums.veto);
      },
    ),
  );
});

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

test("limits: exactly the quorum counts, exactly the threshold does not pass, exactly the veto share does not veto", () => {
  const given = { govQuorumMicros: 250_000, govThresholdMicros: 500_000, govVetoMicros: 250_000 };
  const sums = (yes: bigint, no: bigint, veto: bigint, abstain = 0n) => ({
    yes,
    no,
    veto,
    abstain,
    voted: yes + no + veto + abstain,
  });
  expect(outcome(sums(25n, 0n, 0n), 100n, given)).toBe("passed");
  expect(outcome(sums(24n, 0n, 0n), 100n, given)).toBe("rejected");
  expect(outcome(sums(50n, 50n, 0n), 100n, given)).toBe("rejected");
  expect(outcome(sums(51n, 49n, 0n), 100n, given)).toBe("passed");
  expect(outcome(sums(75n, 0n, 25n), 100n, given)).toBe("passed");
  expect(outcome(sums(74n, 0n, 26n), 100n, given)).toBe("vetoed");
  expect(outcome(sums(0n, 0n, 0n, 100n), 100n, given)).toBe("rejected");
  expect(outcome(sums(0n, 0n, 0n), 0n, given)).toBe("rejected");
});

test("decimals of the wire", () => {
  expect(weightOf("1")).toBe(ONE);
  expect(weightOf("0.5")).toBe(ONE / 2n);
  for (const bad of ["", "0", "0.0", "1.1", "2", ".5", "1.", "-1", "0.1234567890123456789", "1e-1", " 1"]) {
    expect(() => weightOf(bad)).toThrow();
  }
  expect([0, 1, 334_000, 1_000_000].map(microsText)).toEqual([
    "0.000000000000000000",
    "0.000001000000000000",
    "0.334000000000000000",
    "1.000000000000000000",
  ]);
  expect(initialDeposit({ govMinDeposit: 101n })).toBe(11n);
});
