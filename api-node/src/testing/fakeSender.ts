import type { SendOptions, SentTx } from "@karat/client";
import { KaratError, sha256, toHex, utf8 } from "@karat/common";
import { inference, typeUrls } from "@karat/proto";
import type { RecordSender } from "../records/writer.ts";

interface Message {
  readonly typeUrl: string;
  readonly value: { records: readonly object[] };
}

/** A chain that takes records, with the rules that matter to the writer: starts first, each record once. */
export class FakeSender implements RecordSender {
  readonly address = "karat1node";
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
  height = 100n;
  readonly #started = new Set<string>();
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

  #deliver({ typeUrl, value }: Message): Uint8Array {
    const kind =
      typeUrl === typeUrls.startInferences ? "start" : typeUrl === typeUrls.finishInferences ? "finish" : "delivery";
    const results = value.records.map((record) => {
      const inferenceId =
        kind === "start"
          ? sha256((record as inference.StartRecord).authorization)
          : (record as inference.FinishRecord).inferenceId;
      const id = toHex(inferenceId);
      if (kind === "start") this.#started.add(id);
      const code = this.taken && kind === "finish" ? 11 : this.#started.has(id) ? 0 : 22;
      if (code === 0 && !this.recorded.includes(`${kind}-${id}`)) this.recorded.push(`${kind}-${id}`);
      return { inferenceId, code, log: "" };
    });
    return inference.MsgStartInferencesResponse.encode({ results }).finish();
  }
}
