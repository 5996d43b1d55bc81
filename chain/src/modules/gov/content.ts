/** The messages of a proposal: what they may be, and carrying them out. */
import type { Any } from "cosmjs-types/google/protobuf/any";
import { ChainError, isChainError } from "../../app/errors.ts";
import type { Context, MessageHandler } from "../../app/module.ts";
import { decodeCanonical, refuseNul } from "../../app/tx/canonical.ts";
import { GOVERNANCE } from "../support/authority.ts";
import { isolated } from "../support/isolated.ts";
import { GOV_ERRORS } from "./errors.ts";
import type { GovDeps } from "./expects.ts";

export const MAX_MESSAGES = 8;
const MAX_MESSAGE_BYTES = 16 * 1024;

/** Thrown inside a trial run, so that nothing of it stays. */
class Tried extends Error {}

/** Throws for messages that are not governance's to carry out, malformed, or refused as the state is now. */
export function checkMessages(deps: GovDeps, ctx: Context, messages: readonly Any[]): void {
  if (messages.length > MAX_MESSAGES || messages.some(({ value }) => value.length > MAX_MESSAGE_BYTES)) {
    throw new ChainError(
      GOV_ERRORS.invalidProposal,
      `a proposal has at most ${MAX_MESSAGES} messages of ${MAX_MESSAGE_BYTES} bytes`,
    );
  }
  for (const message of messages) decode(deps, message);
  try {
    isolated(ctx, (inner) => {
      execute(deps, inner, messages);
      throw new Tried();
    });
  } catch (error) {
    if (!(error instanceof Tried)) throw invalid(error);
  }
}

/** All of them or none: an expected failure is thrown as `invalid message`. */
export function executeMessages(deps: GovDeps, ctx: Context, messages: readonly Any[]): void {
  try {
    isolated(ctx, (inner) => execute(deps, inner, messages));
  } catch (error) {
    throw invalid(error);
  }
}

function execute(deps: GovDeps, ctx: Context, messages: readonly Any[]): void {
  for (const message of messages) {
    const { handler, value } = decode(deps, message);
    handler.execute(ctx, value);
  }
}

function decode(deps: GovDeps, { typeUrl, value }: Any): { handler: MessageHandler; value: unknown } {
  const handler = deps.handler(typeUrl);
  if (handler === undefined) throw new ChainError(GOV_ERRORS.unroutableMessage, `nobody carries out ${typeUrl}`);
  try {
    const message = decodeCanonical(handler.codec, value, typeUrl);
    refuseNul(message);
    const signers = handler.signers(message);
    if (signers.length !== 1 || signers[0] !== GOVERNANCE) {
      throw new ChainError(GOV_ERRORS.invalidSigner, `${typeUrl} is not signed by ${GOVERNANCE}`);
    }
    handler.checkStateless(message);
    return { handler, value: message };
  } catch (error) {
    throw isChainError(error, GOV_ERRORS.invalidSigner) ? error : invalid(error);
  }
}

/** What a message is refused with, as this module's; anything unexpected goes on. */
function invalid(error: unknown): unknown {
  if (!isChainError(error) || error.codespace === "gov" || isOutOfGas(error)) return error;
  return new ChainError(GOV_ERRORS.invalidMessage, `${error.codespace} ${error.code}: ${error.message}`);
}

const isOutOfGas = (error: ChainError): boolean => error.codespace === "sdk" && error.code === 11;
