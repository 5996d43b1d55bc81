import { toHex } from "@karat/common";
import { verification } from "@karat/proto";
import type { Context } from "../../app/module.ts";
import type { VerificationDeps } from "./expects.ts";
import { agenda, checks, expiring, openDuties, STORE } from "./keys.ts";
import { isOpen, isPending, objectorOf } from "./transition.ts";

/** Looks at every check: for tests and for operators who ask, not for every block of a large chain. */
export function invariants(deps: VerificationDeps, ctx: Context): string[] {
  const store = ctx.store(STORE);
  const broken: string[] = [];
  const counts = { open: 0, decided: 0, duties: 0 };
  const bonds = new Map<string, bigint>();
  const scheduled = new Set([...agenda.entries(store)].map(([[, id]]) => toHex(id)));
  for (const [id, check] of checks.entries(store)) {
    const name = toHex(id);
    const duties = check.duties.filter((duty) => isPending(check, duty));
    if (!isOpen(check.status)) {
      counts.decided++;
      continue;
    }
    counts.open++;
    const accuser = objectorOf(check);
    if (check.bond > 0n && accuser !== undefined) bonds.set(accuser, (bonds.get(accuser) ?? 0n) + check.bond);
    counts.duties += duties.length;
    if (!scheduled.has(name)) broken.push(`${name}: open and never looked at again`);
    if (check.status === verification.CheckStatus.PENDING && duties.length !== 1) {
      broken.push(`${name}: pending with ${duties.length} open duties`);
    }
    if (check.status === verification.CheckStatus.ANSWERED && (duties.length > 0 || check.bond > 0n)) {
      broken.push(`${name}: answered with ${duties.length} open duties and a bond of ${check.bond}`);
    }
    for (const duty of duties) {
      if (!openDuties.has(store, [duty.validator, id])) broken.push(`${name}: ${duty.validator}'s duty is not listed`);
    }
  }
  for (const { operator, bonded } of deps.participants.all(ctx)) {
    const sum = bonds.get(operator) ?? 0n;
    if (bonded !== sum) broken.push(`${operator}: ${bonded} bonded for accusations of ${sum}`);
  }
  const sizes = { agenda: size(ctx, agenda), expiring: size(ctx, expiring), duties: size(ctx, openDuties) };
  if (sizes.agenda !== counts.open) broken.push(`${sizes.agenda} agenda entries for ${counts.open} open checks`);
  if (sizes.expiring !== counts.decided) broken.push(`${sizes.expiring} of ${counts.decided} decided checks expire`);
  if (sizes.duties !== counts.duties) broken.push(`${sizes.duties} listed duties, ${counts.duties} open`);
  for (const id of deps.inferences.awaitingDecision(ctx)) {
    const status = checks.get(store, id)?.status;
    if (status === undefined || !isOpen(status)) broken.push(`${toHex(id)}: waits for a check that is not open`);
  }
  return broken;
}

function size<K, T>(ctx: Context, table: { entries(store: ReturnType<Context["store"]>): Iterable<readonly [K, T]> }) {
  let n = 0;
  for (const _ of table.entries(ctx.store(STORE))) n++;
  return n;
}
