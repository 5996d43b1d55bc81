import type { AccountState } from "@karat/client";
import { compactRecords, type inference, type Numbers, type OpenBatch, sign } from "@karat/proto";
import { DEFAULT_SAMPLING } from "@karat/rules";
import type { ChainView } from "../chain/view.ts";

type Account = ReturnType<Numbers["account"]>;

const MAX_ACCOUNTS = 10_000;
/** A number that nobody has: the chain refuses what names it. */
const NOBODY = 0x7fff_ffff;

/** Makes of a batch what rides on chain: participants and models by the view's numbers, clients by their accounts'. */
export class RecordCompactor {
  readonly #view: ChainView;
  readonly #query: (address: string) => Promise<AccountState | undefined>;
  /** Numbers never change; that an account has its key never ends. */
  readonly #accounts = new Map<string, Account>();

  constructor(view: ChainView, query: (address: string) => Promise<AccountState | undefined>) {
    this.#view = view;
    this.#query = query;
  }

  async compact(batch: OpenBatch): Promise<inference.MsgRecords> {
    const clients = (batch.starts ?? []).map(
      ({ authorization }) => sign.RequestAuthorization.decode(authorization).client,
    );
    const accounts = new Map<string, Account>();
    for (const client of new Set(clients)) accounts.set(client, await this.#account(client));
    const models = new Map(this.#view.models().map(({ id, number }) => [id, number]));
    const numbers: Numbers = {
      account: (address) => accounts.get(address) ?? { number: BigInt(NOBODY), keyKnown: false },
      participant: (operator) => this.#view.participant(operator)?.number ?? NOBODY,
      model: (id) => models.get(id) ?? NOBODY,
    };
    return compactRecords(batch, numbers, { ...DEFAULT_SAMPLING });
  }

  async #account(address: string): Promise<Account> {
    const known = this.#accounts.get(address);
    if (known) return known;
    const state = await this.#query(address);
    if (!state) return { number: BigInt(NOBODY), keyKnown: false };
    const account = { number: state.accountNumber, keyKnown: state.hasKey };
    if (!account.keyKnown) return account;
    if (this.#accounts.size >= MAX_ACCOUNTS) this.#accounts.delete(this.#accounts.keys().next().value!);
    this.#accounts.set(address, account);
    return account;
  }
}
