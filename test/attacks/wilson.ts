/** 95 % Wilson interval of a rate. */
export function wilson(hits: number, runs: number): { low: number; high: number } {
  const z = 1.96;
  if (runs === 0) return { low: 0, high: 1 };
  const p = hits / runs;
  const middle = p + z ** 2 / (2 * runs);
  const reach = z * Math.sqrt((p * (1 - p)) / runs + z ** 2 / (4 * runs ** 2));
  const scale = 1 + z ** 2 / runs;
  return { low: Math.max(0, (middle - reach) / scale), high: Math.min(1, (middle + reach) / scale) };
}
