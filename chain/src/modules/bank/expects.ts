import type { Context } from "../../app/module.ts";

/** Of the auth module: a recipient gets an account with its first coins. */
export interface Accounts {
  ensure(ctx: Context, address: string): unknown;
}
