import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { LineWriter } from "./lineWriter.ts";

const servers = new Set<ReturnType<typeof createServer>>();
afterEach(() => {
  vi.restoreAllMocks();
  for (const server of servers) server.close();
});

/** What is written, piece by piece, while the clock shows these times. */
async function written(lumpMs: number, times: readonly number[]): Promise<string[]> {
  const pieces: string[] = [];
  const server = createServer(async (_request, response) => {
    const write = response.write.bind(response);
    vi.spyOn(response, "write").mockImplementation((piece) => {
      pieces.push(String(piece));
      return write(piece);
    });
    const lines = new LineWriter(response, lumpMs);
    let now = 1_000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    await lines.write({ type: "start" });
    for (const at of times) {
      now = 1_000 + at;
      await lines.hold({ at });
    }
    lines.end({ type: "end" });
  });
  servers.add(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const text = await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).text();
  expect(text.startsWith(pieces.join(""))).toBe(true);
  return [...pieces, text.slice(pieces.join("").length)];
}

const line = (at: number): string => `{"at":${at}}\n`;
const [START, END] = ['{"type":"start"}\n', '{"type":"end"}\n'];

test("with a reader each line goes at once", async () => {
  expect(await written(0, [1, 2])).toEqual([START, line(1), line(2), END]);
});

test("without one, lines wait for others while the last write was a moment ago", async () => {
  expect(await written(50, [10, 20, 60, 70, 200])).toEqual([
    START,
    line(10) + line(20) + line(60),
    line(70) + line(200),
    END,
  ]);
});
