import type { SendOptions, SentTx } from "@karat/client";
import { KaratError, sha256, toHex, utf8 } from "@karat/common";
import { compactRecords, inference, type OpenBatch, refOf, sign } from "@karat/proto";
import type { RecordKind } from "../records/record.ts";
import type { RecordSender } from "../records/writer.ts";

interface Message {
  readonly typeUrl: string;
  readonly value: inference.MsgRecords;
}

/** A chain that takes records, with the rules that matter to the writer: starts first, each record once. */
export class FakeSender implements RecordSender {
  readonly address = "karat1node";
  /** Kinds and short ids in hex, in the order in which they got there. */
  readonly recorded: string[] = [];
  /** Number of transactions that got into a block. */
  transactions = 0;
  /** Called with the messages before they count; may throw what TxSender throws. */
  before: (messages: readonly Message[]) => void = () => undefined;
  /** Thrown after the transaction is in a block: the answer got lost. */
  loseAnswer = false;
  /** Thrown after the transaction was signed and before it left. */
  loseBroadcast = false;
  /** Inferences are other executors': finishes are refused. */
  taken = false;
  /** Inferences are over: deliveries are refused. */
  over = false;
  height = 100n;
  readonly #started = new Set<bigint>();
  readonly #sent = new Map<string, SentTx>();

  async send(messages: readonly object[], options: SendOptions = {}): Promise<SentTx> {
    const asked = messages as readonly Message[];
    const hash = toHex(sha256(utf8(`${this.transactions} ${Math.random()}`))).toUpperCase();
    await options.onSigned?.({
      hash,
      bytes: new Uint8Array(),
      timeoutHeight: this.height + (options.timeoutBlocks ?? 20n),
    });
    if (this.loseBroadcast) throw new KaratError("chain_unavailable", "by script");
    this.before(asked);
    const responses = asked.map((message) => this.#deliver(message));
    this.transactions++;
    const log = { codespace: "", log: "", data: new Uint8Array(), bytes: new Uint8Array(), events: [] };
    const sent: SentTx = { hash, height: this.height, code: 0, responses, ...log };
    this.#sent.set(hash, sent);
    if (this.loseAnswer) throw new KaratError("chain_unavailable", "by script");
    return sent;
  }

  async outcome(hash: string, timeoutHeight: bigint): Promise<SentTx | "pending" | "expired"> {
    return this.#sent.get(hash) ?? (this.height > timeoutHeight ? "expired" : "pending");
  }

  #deliver({ value }: Message): Uint8Array {
    const records: [kind: RecordKind, ref: bigint][] = [
      ...value.starts.map(({ nonce }): [RecordKind, bigint] => ["start", refOf(nonce)]),
      ...value.finishes.map(({ ref }): [RecordKind, bigint] => ["finish", ref]),
      ...[...value.delivered, ...value.deliveredInPart].map((ref): [RecordKind, bigint] => ["delivery", ref]),
      ...value.deliveries.map(({ inferenceId }): [RecordKind, bigint] => ["delivery", refOf(inferenceId)]),
    ];
    const refusals = records.flatMap(([kind, ref], index) => {
      if (kind === "start") this.#started.add(ref);
      const refused = this.taken && kind === "finish" ? 11 : this.over && kind === "delivery" ? 23 : 0;
      const code = refused > 0 ? refused : this.#started.has(ref) ? 0 : 22;
      const name = `${kind}-${ref.toString(16).padStart(16, "0")}`;
      if (code === 0 && !this.recorded.includes(name)) this.recorded.push(name);
      return code === 0 ? [] : [{ index, code, log: "" }];
    });
    return inference.MsgRecordsResponse.encode({ refusals }).finish();
  }
}

/** What rides of a batch whose starts hold anything as authorization: its SHA-256 in the place of the nonce. */
export async function fakeCompact({ sender, starts = [], ...batch }: OpenBatch): Promise<inference.MsgRecords> {
  const numbers = { account: () => ({ number: 0n, keyKnown: true }), participant: () => 1, model: () => 1 };
  const message = compactRecords({ sender, ...batch }, numbers, sign.Sampling.fromPartial({}));
  const entries = starts.map(({ authorization }) => inference.StartEntry.fromPartial({ nonce: sha256(authorization) }));
  return { ...message, starts: entries };
}
