/** Streams that a fault finds in the middle. */
import { setTimeout as sleep } from "node:timers/promises";
import type OpenAI from "openai";

/** The field `karat` of an answer, as far as it tells of parts. */
export interface Parts {
  readonly cost: string;
  readonly parts?: readonly {
    readonly inference_id: string;
    readonly executor: string;
    readonly behind_tokens: number;
  }[];
}

export interface MidStream {
  readonly inferenceId: string;
  /** Operator address. */
  readonly executor: string;
  /** Reads on to the end. */
  rest(): Promise<{ readonly text: string; readonly karat: Parts | undefined }>;
}

export interface MidStreamOptions {
  readonly openai: OpenAI;
  readonly model: string;
  /** Operator address; of several, any. */
  readonly executor: string | readonly string[];
  /** How many tokens the client has when it is in the middle. */
  readonly tokens?: number;
}

/** Asks until it is this executor that answers, or one of these; then it is in the middle of its answer. */
export async function midStream({ openai, model, executor, tokens = 4 }: MidStreamOptions): Promise<MidStream> {
  for (let tries = 0; tries < 100; tries++) {
    const leave = new AbortController();
    const { data, response } = await openai.completions
      .create({ model, prompt: "The following function", max_tokens: 400, stream: true }, { signal: leave.signal })
      .withResponse();
    const inferenceId = response.headers.get("x-karat-inference-id")!;
    const events = data[Symbol.asyncIterator]();
    let text = "";
    let read = 0;
    const asked = response.headers.get("x-karat-executor")!;
    let done = ![executor].flat().includes(asked);
    while (!done && read < tokens) {
      const event = await events.next();
      done = event.done === true;
      if (event.done) break;
      read++;
      text += event.value.choices[0]?.text ?? "";
    }
    if (done) {
      leave.abort();
      await sleep(50);
      continue;
    }
    return {
      inferenceId,
      executor: asked,
      async rest() {
        let karat: Parts | undefined;
        for (let event = await events.next(); !event.done; event = await events.next()) {
          text += event.value.choices[0]?.text ?? "";
          if ("karat" in event.value) karat = event.value.karat as Parts;
        }
        return { text, karat };
      },
    };
  }
  throw new Error("the draw never came out so");
}
