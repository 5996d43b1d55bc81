import { KaratError } from "@karat/common";

/** A server-sent event as parsers take it: its name, where it has one, and its lines of data. */
export interface ServerEvent {
  readonly name: string | undefined;
  readonly data: string;
}

/** Characters of one event: log-probabilities of a token, or a whole response. */
const MAX_EVENT = 4_194_304;

/** Reads server-sent events however their bytes are cut and their lines end. Throws KaratError `malformed_stream` for one without an end. */
export class EventReader {
  readonly #decoder = new TextDecoder();
  #rest = "";

  push(bytes: Uint8Array): ServerEvent[] {
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true });
    // What follows may make one line end of it and a line feed.
    const cut = text.endsWith("\r") ? text.length - 1 : text.length;
    const events = text.slice(0, cut).replace(/\r\n?/g, "\n").split("\n\n");
    this.#rest = events.pop()! + text.slice(cut);
    if (this.#rest.length > MAX_EVENT) {
      throw new KaratError("malformed_stream", `An event of the stream has more than ${MAX_EVENT} characters.`);
    }
    return events.map(parse).filter((event) => event !== undefined);
  }
}

/** An event with nothing in it that was not read: what another parser sees of it is what was looked at. */
export const eventText = ({ name, data }: ServerEvent): string =>
  [...(name === undefined ? [] : [`event: ${name}`]), ...data.split("\n").map((line) => `data: ${line}`), "\n"].join(
    "\n",
  );

function parse(text: string): ServerEvent | undefined {
  let name: string | undefined;
  const data: string[] = [];
  for (const line of text.split("\n")) {
    const [, field, value = ""] = /^([^:]*):? ?(.*)$/s.exec(line)!;
    if (field === "event") name = value;
    else if (field === "data") data.push(value);
  }
  return data.length === 0 ? undefined : { name, data: data.join("\n") };
}
