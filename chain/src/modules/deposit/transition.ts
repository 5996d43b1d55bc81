/**
 * What may happen to a deposit. `locked` belongs to inferences, `refunding` is a part of `available`; a refund request
 * never reaches what is locked, so work in flight can always settle.
 */
import type { deposit } from "@karat/proto";
import { ChainError } from "../../app/errors.ts";
import { addU64, subU64 } from "../../numeric/checked.ts";
import { DEPOSIT_ERRORS } from "./errors.ts";

type Deposit = deposit.Deposit;

export function empty(client: string): Deposit {
  return { client, available: 0n, locked: 0n, refunding: 0n, refundHeight: 0n };
}

export function isEmpty(d: Deposit): boolean {
  return d.available === 0n && d.locked === 0n;
}

/** What new inferences and refund requests may take. */
export function spendable(d: Deposit): bigint {
  return subU64(d.available, d.refunding);
}

export function credit(d: Deposit, amount: bigint): Deposit {
  return { ...d, available: addU64(d.available, amount) };
}

/** Throws `insufficient deposit`. */
export function lock(d: Deposit, amount: bigint): Deposit {
  requireSpendable(d, amount);
  return { ...d, available: subU64(d.available, amount), locked: addU64(d.locked, amount) };
}

/** Unlocking more than is locked is a bug of the caller and stops the node (KaratError `underflow`). */
export function unlock(d: Deposit, amount: bigint): Deposit {
  return { ...d, available: addU64(d.available, amount), locked: subU64(d.locked, amount) };
}

/** Leaves the deposit out of what is locked. Spending more than is locked stops the node (KaratError `underflow`). */
export function spend(d: Deposit, amount: bigint): Deposit {
  return { ...d, locked: subU64(d.locked, amount) };
}

/** A further request joins the one that waits, and both wait anew. Throws `insufficient deposit`. */
export function requestRefund(d: Deposit, amount: bigint, height: bigint, refundLock: bigint): Deposit {
  requireSpendable(d, amount);
  return { ...d, refunding: addU64(d.refunding, amount), refundHeight: addU64(height, refundLock) };
}

/** Throws `no refund`, `still locked`. */
export function withdraw(d: Deposit, height: bigint): { readonly deposit: Deposit; readonly amount: bigint } {
  if (d.refunding === 0n) throw new ChainError(DEPOSIT_ERRORS.noRefund, `${d.client} has requested no refund`);
  if (height < d.refundHeight) {
    throw new ChainError(DEPOSIT_ERRORS.stillLocked, `the refund unlocks at height ${d.refundHeight}`);
  }
  const available = subU64(d.available, d.refunding);
  return { deposit: { ...d, available, refunding: 0n, refundHeight: 0n }, amount: d.refunding };
}

function requireSpendable(d: Deposit, amount: bigint): void {
  if (spendable(d) < amount) {
    throw new ChainError(
      DEPOSIT_ERRORS.insufficientDeposit,
      `the deposit of ${d.client} has ${spendable(d)}ukarat to spend, not ${amount}`,
    );
  }
}
