/** What a wallet sees of a REST answer. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any;
}

export async function get(url: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  return answerOf(await fetch(`${url}${path}`, { headers }));
}

export async function post(url: string, path: string, body: unknown): Promise<Answer> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "content-type": "application/json" };
  return answerOf(await fetch(`${url}${path}`, { method: "POST", headers, body: text }));
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}
