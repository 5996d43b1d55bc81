import type { FollowedBlock } from "@karat/client";
import { addressOfKey, newPrivateKey, publicKeyOf, sha256, utf8 } from "@karat/common";
import { deposit, epoch, params, participant } from "@karat/proto";
import type { ChainView } from "../chain/view.ts";
import type { NodeIdentity } from "../identity.ts";

export const TEST_MODEL = "karat-tiny";
/** Components of its vectors. */
export const TEST_DIMENSIONS = 8;
export const TEST_CHAIN = "karat-test-1";

/** A chain that is where the test puts it. */
export class FakeView implements ChainView {
  readonly chainId = TEST_CHAIN;
  readonly members: epoch.Member[] = [];
  readonly deposits = new Map<string, deposit.Deposit>();
  current = 100n;
  /** Of the model; 0: it gives no embeddings. */
  embeddingDimensions = TEST_DIMENSIONS;
  readonly #participants = new Map<string, participant.Participant>();
  readonly #listeners = new Set<(block: FollowedBlock) => void>();

  /** Registers a participant with one offer; more weight is drawn earlier as a rule, not always. */
  join(identity: NodeIdentity, url: string, price = 1n): void {
    const { operator, publicKey: nodeKey } = identity;
    const offers = [{ model: TEST_MODEL, inputPrice: price, outputPrice: 2n * price, capacity: 10n }];
    this.members.push(epoch.Member.fromPartial({ operator, weight: 10n, offers, url, nodeKey }));
    this.#participants.set(operator, participant.Participant.fromPartial({ operator, nodeKey, url, offers }));
  }

  fund(client: string, available: bigint): void {
    this.deposits.set(client, deposit.Deposit.fromPartial({ client, available }));
  }

  height(): bigint {
    return this.current;
  }

  beacon(height: bigint): Uint8Array | undefined {
    return height <= this.current && height > this.current - 30n ? sha256(utf8(`beacon ${height}`)) : undefined;
  }

  async awaitBeacon(height: bigint): Promise<Uint8Array | undefined> {
    return this.beacon(height);
  }

  epochAt(): epoch.Epoch {
    return { number: 3n, startHeight: 90n, endHeight: 10_000n, members: this.members, settled: false };
  }

  params(): params.Params {
    return params.Params.fromPartial({ maxAnchorAge: 20n, inferenceDeadline: 60n, maxInlineBytes: 16_384 });
  }

  models(): params.Model[] {
    const { embeddingDimensions } = this;
    const size = { contextLength: 1_024, vocabularySize: 300, embeddingDimensions };
    return [params.Model.fromPartial({ id: TEST_MODEL, ...size })];
  }

  participant(operator: string): participant.Participant | undefined {
    return this.#participants.get(operator);
  }

  participants(): participant.Participant[] {
    return [...this.#participants.values()];
  }

  async deposit(client: string): Promise<deposit.Deposit | undefined> {
    return this.deposits.get(client);
  }

  onBlock(listener: (block: FollowedBlock) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** One block further. */
  advance(block: Partial<FollowedBlock> = {}): void {
    this.current += 1n;
    for (const listener of this.#listeners) {
      listener({ height: this.current, txs: [], events: [], ...block });
    }
  }
}

export function newIdentity(): NodeIdentity {
  const privateKey = newPrivateKey();
  return { privateKey, publicKey: publicKeyOf(privateKey), operator: addressOfKey(publicKeyOf(newPrivateKey())) };
}
