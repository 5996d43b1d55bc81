/** What a sample says of a rate: exact binomial bounds (Clopper & Pearson 1934). */

export const CONFIDENCE = 0.95;

/** Upper confidence bound of a rate of which `fails` of `runs` were seen: the p with P(X ≤ fails | runs, p) = 1 − confidence. */
export function upperBound(fails: number, runs: number, confidence = CONFIDENCE): number {
  if (!Number.isInteger(fails) || !Number.isInteger(runs) || fails < 0 || fails > runs) {
    throw new RangeError("fails and runs: whole numbers, 0 ≤ fails ≤ runs");
  }
  if (fails === runs) return 1;
  let low = 0;
  let high = 1;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (atMost(fails, runs, middle) > 1 - confidence) low = middle;
    else high = middle;
  }
  return high;
}

/** The fewest runs, without a failure, that carry a claim that a rate is at most `rate`. */
export const runsFor = (rate: number, confidence = CONFIDENCE): number =>
  Math.ceil(Math.log(1 - confidence) / Math.log1p(-rate));

/** P(X ≤ k) of a binomial distribution. */
function atMost(k: number, n: number, p: number): number {
  if (p <= 0) return 1;
  if (p >= 1) return k >= n ? 1 : 0;
  // ln of n!/(i!(n−i)!) p^i (1−p)^(n−i), from one i to the next.
  let log = n * Math.log1p(-p);
  let sum = Math.exp(log);
  for (let i = 1; i <= k; i++) {
    log += Math.log((n - i + 1) / i) + Math.log(p) - Math.log1p(-p);
    sum += Math.exp(log);
  }
  return Math.min(1, sum);
}
