import type { SoakReport } from "./soak.ts";

const MOST_SHOWN = 50;

/** The report in numbers, for people and for comparing runs. */
export function summary({ outcomes, faults, violations, seconds, ...rest }: SoakReport): object {
  const times = outcomes.map(({ fromMs, untilMs }) => untilMs - fromMs).sort((a, b) => a - b);
  const at = (share: number): number => Math.round(times[Math.floor(share * (times.length - 1))] ?? 0);
  const count = (of: (outcome: (typeof outcomes)[number]) => string): Record<string, number> =>
    Object.fromEntries(Object.entries(Object.groupBy(outcomes, of)).map(([key, group]) => [key, group!.length]));
  return {
    requests: outcomes.length,
    seconds: Math.round(seconds),
    requestsPerSecond: Math.round((10 * outcomes.length) / seconds) / 10,
    results: count(({ result, code }) => `${result}: ${code}`),
    attempts: count(({ attempts }) => String(attempts)),
    latencyMs: { p50: at(0.5), p99: at(0.99), most: at(1) },
    faults: faults.map(({ kind, participant, afterRequests, fromMs, untilMs }) => {
      return `${kind} of participant ${participant} after ${afterRequests}, ${Math.round((untilMs - fromMs) / 100) / 10} s`;
    }),
    ...rest,
    violations: violations.slice(0, MOST_SHOWN),
    furtherViolations: Math.max(0, violations.length - MOST_SHOWN),
  };
}
