/** A piece of text or of calls, as a whole answer (`message`, `text`) or a chunk of one (`delta`, `text`) shows it. */
interface Shown {
  readonly content?: string | null;
  readonly tool_calls?: readonly {
    readonly index?: number;
    readonly function?: { readonly name?: string; readonly arguments?: string };
  }[];
}

/** A whole answer of chat completions or completions, or one event of a stream. */
export interface ShownEvent {
  readonly choices?: readonly { readonly message?: Shown; readonly delta?: Shown; readonly text?: string }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  readonly karat?: unknown;
  readonly error?: unknown;
}

/** What a client has been shown: the text and the calls of all its events. */
export class ShownAnswer {
  text = "";
  readonly calls: { name: string; arguments: string }[] = [];
  usage: ShownEvent["usage"];
  karat: unknown;
  /** The node told of an error within the stream. */
  failed = false;

  add(event: ShownEvent): void {
    const [choice] = event.choices ?? [];
    this.text += choice?.text ?? "";
    this.#show(choice?.message ?? choice?.delta ?? {});
    this.usage = event.usage ?? this.usage;
    this.karat = event.karat ?? this.karat;
    if (event.error !== undefined) this.failed = true;
  }

  #show({ content, tool_calls: calls = [] }: Shown): void {
    this.text += content ?? "";
    for (const [at, { index = at, function: part }] of calls.entries()) {
      this.calls[index] ??= { name: "", arguments: "" };
      const call = this.calls[index];
      call.name += part?.name ?? "";
      call.arguments += part?.arguments ?? "";
    }
  }
}
