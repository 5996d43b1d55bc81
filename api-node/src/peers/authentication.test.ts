import { isKaratError, newPrivateKey, publicKeyOf, utf8 } from "@karat/common";
import { beforeEach, expect, test } from "vitest";
import type { NodeIdentity } from "../identity.ts";
import { FakeView, newIdentity } from "../testing/fakeView.ts";
import { PeerAuthentication } from "./authentication.ts";

const PATH = "/karat/v1/execute";
const body = utf8("{}");
let view: FakeView;
let [me, peer, third]: NodeIdentity[] = [];
beforeEach(() => {
  view = new FakeView();
  [me, peer, third] = [newIdentity(), newIdentity(), newIdentity()];
  for (const identity of [me, peer, third]) view.join(identity, "http://127.0.0.1:1");
});

const by = (identity: NodeIdentity, to: NodeIdentity): Record<string, string> =>
  new PeerAuthentication(view, identity).headers(to.operator, "POST", PATH, body);

function at(identity: NodeIdentity, headers: Record<string, string>): string {
  try {
    return new PeerAuthentication(view, identity).sender({ headers, method: "POST", path: PATH, body });
  } catch (error) {
    if (isKaratError(error, "peer_unauthorized")) return String(error.data.reason);
    throw error;
  }
}

test("a request is its sender's, for its audience, in either direction", () => {
  expect(at(peer!, by(me!, peer!))).toBe(me!.operator);
  expect(at(me!, by(peer!, me!))).toBe(peer!.operator);
});

test("an audience cannot pass on what it was sent, nor send it back as its own", () => {
  const headers = by(me!, peer!);
  expect(at(third!, headers)).toBe("audience");
  expect(at(third!, { ...headers, "x-karat-audience": third!.operator })).toBe("mac");
  const back = { ...headers, "x-karat-sender": peer!.operator, "x-karat-audience": me!.operator };
  expect(at(me!, back)).toBe("mac");
});

test("nobody speaks for another, with its own key or for who is no participant", () => {
  const liar: NodeIdentity = { ...third!, operator: me!.operator };
  expect(at(peer!, by(liar, peer!))).toBe("mac");
  const stranger = newIdentity();
  expect(at(peer!, { ...by(me!, peer!), "x-karat-sender": stranger.operator })).toBe("mac");
  expect(() => by(me!, stranger)).toThrow();
});

test("a participant with a new node key is known by that one, and no longer by the old one", () => {
  const authentication = new PeerAuthentication(view, peer!);
  const sender = (headers: Record<string, string>): string =>
    authentication.sender({ headers, method: "POST", path: PATH, body });
  expect(sender(by(me!, peer!))).toBe(me!.operator);
  const old = by(me!, peer!);
  const privateKey = newPrivateKey();
  const renewed: NodeIdentity = { ...me!, privateKey, publicKey: publicKeyOf(privateKey) };
  view.join(renewed, "http://127.0.0.1:1");
  expect(sender(by(renewed, peer!))).toBe(me!.operator);
  expect(() => sender(old)).toThrow();
});

test("networks are told apart", () => {
  const headers = by(me!, peer!);
  const other = new FakeView();
  for (const identity of [me!, peer!]) other.join(identity, "http://127.0.0.1:1");
  Object.defineProperty(other, "chainId", { value: "karat-other-1" });
  view = other;
  expect(at(peer!, headers)).toBe("mac");
});
