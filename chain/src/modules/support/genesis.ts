import { moduleAddress } from "@karat/common";
import { ChainError, isChainError, SDK } from "../../app/errors.ts";
import type { Context } from "../../app/module.ts";

export function invalidGenesis(message: string): ChainError {
  return new ChainError(SDK.invalidGenesis, message);
}

/** A module's part of app_state as an object whose keys are all known; absent means empty. Throws `invalid genesis`. */
export function genesisObject(state: unknown, where: string, known: readonly string[]): Record<string, unknown> {
  if (state === undefined) return {};
  if (typeof state !== "object" || state === null || Array.isArray(state)) {
    throw invalidGenesis(`${where} must be an object`);
  }
  for (const key of Object.keys(state)) {
    if (!known.includes(key)) throw invalidGenesis(`${where}: unknown field ${key}`);
  }
  return state as Record<string, unknown>;
}

/** A list; absent means empty. Throws `invalid genesis`. */
export function genesisList(value: unknown, where: string): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalidGenesis(`${where} must be a list`);
  return value;
}

/**
 * Proto JSON of one message whose fields are all known and well formed. Generated code drops what it does not know,
 * which would let a misspelt field pass as zero; camelCase and snake_case names are both taken.
 */
export function fromGenesisJson<T extends object>(
  type: { create(): T; fromJSON(value: unknown): T; encode(message: T): { finish(): Uint8Array } },
  value: unknown,
  where: string,
): T {
  genesisObject(
    value,
    where,
    Object.keys(type.create()).flatMap((field) => [field, snakeCase(field)]),
  );
  try {
    const message = type.fromJSON(value);
    type.encode(message).finish(); // refuses numbers outside their width
    return message;
  } catch (error) {
    throw invalidGenesis(`${where}: ${error instanceof Error ? error.message : "unreadable"}`);
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** An unsigned 64-bit number written as a decimal string (or a small JSON number). Throws `invalid genesis`. */
export function genesisAmount(value: unknown, where: string): bigint {
  const text = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== "string" || !/^(0|[1-9][0-9]{0,19})$/.test(text) || BigInt(text) > 0xffff_ffff_ffff_ffffn) {
    throw invalidGenesis(`${where} must be an unsigned decimal number`);
  }
  return BigInt(text);
}

interface MintingBank {
  balance(ctx: Context, address: string): bigint;
  mint(ctx: Context, to: string, amount: bigint): void;
}

/** Mints what a module's account lacks of `needed`. Throws `invalid genesis` where the bank's genesis gave it more. */
export function fundModuleAccount(ctx: Context, bank: MintingBank, module: string, needed: bigint): void {
  const account = moduleAddress(module);
  const held = bank.balance(ctx, account);
  if (held > needed) throw invalidGenesis(`the account of ${module} holds ${held}ukarat, its entries say ${needed}`);
  if (held < needed) bank.mint(ctx, account, needed - held);
}

/** Runs a check that messages use, too; what it refuses becomes `invalid genesis`. */
export function asGenesis<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw isChainError(error) ? invalidGenesis(error.message) : error;
  }
}
