import { addressBytes } from "@karat/common";
import { ChainError, SDK } from "../../app/errors.ts";
import type { MessageHandler } from "../../app/module.ts";

/** A handler as the router keeps it: it takes what its own codec decoded, and nothing else. */
export const defineMessage = <T>(handler: MessageHandler<T>): MessageHandler => handler as MessageHandler;

/** Throws `invalid address` unless it is a canonical karat account address. */
export function requireAddress(address: string, field: string): void {
  if (addressBytes(address) === undefined) throw new ChainError(SDK.invalidAddress, `${field}: ${address}`);
}

/** Throws `invalid coins` for zero, which no message that moves money may carry. */
export function requireAmount(amount: bigint, field: string): void {
  if (amount === 0n) throw new ChainError(SDK.invalidCoins, `${field} must be positive`);
}
