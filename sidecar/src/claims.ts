import { type ChainClient, isTransient, type TxSender } from "@karat/client";
import { type Logger, messageOf } from "@karat/common";
import { typeUrls } from "@karat/proto";

const CLAIM_GAS = 300_000n;

export interface ClaimOptions {
  readonly chain: ChainClient;
  readonly sender: TxSender;
  /** Operator address. */
  readonly operator: string;
  readonly log: Logger;
  readonly onClaim: (amount: bigint) => void;
}

/** Claims every settled and unclaimed epoch of a participant; what fails now is found again at the next call. */
export class RewardClaimer {
  readonly #options: ClaimOptions;
  #running = false;

  constructor(options: ClaimOptions) {
    this.#options = options;
  }

  async claimAll(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    const { chain, sender, operator, log, onClaim } = this.#options;
    try {
      for (const reward of await chain.query.claimable(operator)) {
        const value = { sender: sender.address, epoch: reward.epoch };
        await sender.send([{ typeUrl: typeUrls.claimRewards, value }], { gas: CLAIM_GAS, timeoutBlocks: 10n });
        const amount = reward.emission + reward.dutyFees;
        onClaim(amount);
        log.info({ epoch: reward.epoch, amount }, "Claimed an epoch's rewards.");
      }
    } catch (error) {
      const level = isTransient(error) ? "debug" : "warn";
      log[level]({ error: messageOf(error) }, "Could not claim now; trying again after the next block with rewards.");
    } finally {
      this.#running = false;
    }
  }
}
