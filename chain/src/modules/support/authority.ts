import { moduleAddress } from "@karat/common";
import { ChainError, SDK } from "../../app/errors.ts";

/** The account that passed proposals act for. It is a hash of a name: no key leads to it, so no transaction is signed by it. */
export const GOVERNANCE = moduleAddress("gov");

/** Throws `unauthorized` for a message that anybody else wants carried out. */
export function requireGovernance(authority: string): void {
  if (authority !== GOVERNANCE) {
    throw new ChainError(SDK.unauthorized, `invalid authority; expected ${GOVERNANCE}, got ${authority}: unauthorized`);
  }
}
