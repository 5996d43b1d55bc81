import { ChainError, SDK } from "./errors.ts";
import type { Context, Module } from "./module.ts";

/** `app_state` of a genesis: each module's part under its name. */
export type AppState = Readonly<Record<string, unknown>>;

/** Hands every module its part, in their order. Throws ChainError `invalid_genesis`, also for parts that nobody owns. */
export function initGenesis(modules: readonly Module[], ctx: Context, appStateBytes: Uint8Array): void {
  const state = parse(appStateBytes);
  const unknown = Object.keys(state).find((name) => !modules.some((module) => module.name === name));
  if (unknown !== undefined)
    throw new ChainError(SDK.invalidGenesis, `app_state has a part that no module owns: ${unknown}`);
  for (const module of modules) module.initGenesis?.(ctx, state[module.name] ?? {});
}

function parse(bytes: Uint8Array): AppState {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new ChainError(SDK.invalidGenesis, "app_state is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ChainError(SDK.invalidGenesis, "app_state is not an object");
  }
  return value as AppState;
}
