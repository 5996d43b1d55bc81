export { type CoreOptions, coreComposition, sendMessage } from "./core.ts";
export {
  AppHarness,
  type Block,
  type HarnessOptions,
  TEST_MODEL,
  type TestParticipant,
  type TxOptions,
  testParticipant,
} from "./harness.ts";
export { type Message, type Signer, signerOf, signTx } from "./signer.ts";
