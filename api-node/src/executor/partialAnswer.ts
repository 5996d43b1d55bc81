import { fromBase64, fromHex } from "@karat/common";
import type { sign } from "@karat/proto";
import { type ArtifactCoding, artifactRoot, encodeArtifact } from "@karat/rules";
import type { RecordedAnswer } from "./finish.ts";
import type { TokenLine } from "./protocol.ts";

export interface CancelledParts {
  /** That of the model's complete answers: validators accept no other. */
  readonly coding: ArtifactCoding;
  readonly inferenceId: Uint8Array;
  /** 32 bytes. */
  readonly seed: Uint8Array;
  readonly sampling: sign.Sampling;
  readonly promptTokens: number;
  /** Hex. */
  readonly promptHash: string;
  /** Of a continued part: bytes of the tokens before it in base64, and how many characters of their text were told. */
  readonly prefix?: { readonly bytes: string; readonly told: number };
  readonly tokens: readonly TokenLine[];
}

/**
 * What there was when the reader left, with an artifact of its own: the ML node's comes with the end of an answer only, and closing the
 * connection is what makes it stop. The text is that of all tokens, as a validator will read it off their ids; an unfinished character is U+FFFD.
 */
export function cancelledAnswer(parts: CancelledParts): RecordedAnswer {
  const { coding, inferenceId, seed, sampling: params, promptTokens, tokens } = parts;
  const promptHash = fromHex(parts.promptHash);
  const positions = tokens.map(({ id, logprob, top }) => ({ id, top: withChosen({ id, logprob }, top, coding.k) }));
  const before = fromBase64(parts.prefix?.bytes ?? "");
  const bytes = Uint8Array.from([...before, ...tokens.flatMap((token) => [...token.bytes])]);
  return {
    finishReason: "cancelled",
    promptTokens,
    promptHash,
    tokenIds: tokens.map(({ id }) => id),
    text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes).slice(parts.prefix?.told ?? 0),
    artifact: encodeArtifact(positions, coding),
    artifactRoot: artifactRoot({ ...coding, inferenceId, promptHash, params, seed, positions }),
  };
}

interface TokenLogprob {
  readonly id: number;
  readonly logprob: number;
}

/** The chosen token is always recorded, likely or not. */
function withChosen(chosen: TokenLogprob, top: readonly TokenLogprob[], k: number): TokenLogprob[] {
  const kept = top.slice(0, k).map(({ id, logprob }) => ({ id, logprob }));
  return kept.some(({ id }) => id === chosen.id) ? kept : [...kept, chosen];
}
