import type { Context } from "../../app/module.ts";
import { reputations, STORE, standings } from "./keys.ts";

const WHOLE = 1_000_000;

export function invariants(ctx: Context): string[] {
  const broken: string[] = [];
  for (const [operator, standing] of standings.entries(ctx.store(STORE))) {
    if (standing.misses > standing.assigned) broken.push(`${operator}: more misses than assignments`);
    if (standing.dutiesMissed > standing.dutiesAssigned) broken.push(`${operator}: more duties missed than assigned`);
    if (standing.apart > standing.looks) broken.push(`${operator}: apart more often than looked at`);
    if (standing.log2Recent < 0n) broken.push(`${operator}: recent evidence below its beginning`);
    if (standing.fails === 0n && standing.accusers.length > 0) broken.push(`${operator}: accused of nothing`);
  }
  for (const [[operator, model], row] of reputations.entries(ctx.store(STORE))) {
    if (row.valueMicros > WHOLE) broken.push(`${operator}, ${model}: reputation ${row.valueMicros}`);
    if (row.valueMicros > 0 && row.cleanTokens === 0n) broken.push(`${operator}, ${model}: trusted without a check`);
  }
  return broken;
}
