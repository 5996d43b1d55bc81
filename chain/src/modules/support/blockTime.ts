/** What is counted in blocks, as the times that wallets and explorers show: a block takes about five seconds. */
const SECONDS_PER_BLOCK = 5n;

export const durationOf = (blocks: bigint): { seconds: bigint; nanos: number } => ({
  seconds: blocks * SECONDS_PER_BLOCK,
  nanos: 0,
});
