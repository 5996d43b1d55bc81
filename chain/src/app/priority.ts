/** What a transaction offers for its place in a block, as far as its bytes tell. */
export interface Offer {
  readonly signers: readonly string[];
  /** Attached, in ukarat; 0 for the protocol lane. */
  readonly fee: bigint;
  readonly gasLimit: bigint;
}

/**
 * The same transactions with those that pay ordered by what they pay for a unit of gas, in the places that paying ones had,
 * so that the lanes keep their turns. A signer's transactions stay in their order: a later one goes no earlier than the cheapest
 * before it, and where a signer also has free ones, nothing of its is moved. `offerOf` is undefined for bytes that are no transaction.
 */
export function byGasPrice(
  txs: readonly Uint8Array[],
  offerOf: (tx: Uint8Array) => Offer | undefined,
): readonly Uint8Array[] {
  const offers = txs.map(offerOf);
  const fixed = fixedSigners(offers.filter((offer) => offer !== undefined));
  /** The cheapest so far of each signer. */
  const cheapest = new Map<string, Offer>();
  const movable = txs.flatMap((tx, place) => {
    const offer = offers[place];
    if (offer === undefined || offer.signers.some((signer) => fixed.has(signer))) return [];
    const price = [offer, ...offer.signers.flatMap((signer) => cheapest.get(signer) ?? [])].reduce(cheaper);
    for (const signer of offer.signers) cheapest.set(signer, price);
    return [{ tx, place, price }];
  });
  const ordered = [...movable].sort((a, b) => compare(b.price, a.price) || a.place - b.place);
  const result = [...txs];
  for (const [i, { place }] of movable.entries()) result[place] = ordered[i]!.tx;
  return result;
}

/** Those who sign something without a price, and those who sign together with them. */
function fixedSigners(offers: readonly Offer[]): ReadonlySet<string> {
  const fixed = new Set(offers.flatMap(({ fee, gasLimit, signers }) => (fee === 0n || gasLimit === 0n ? signers : [])));
  const shared = offers.filter(({ signers }) => signers.length > 1);
  for (let before = -1; before !== fixed.size; ) {
    before = fixed.size;
    for (const { signers } of shared) {
      if (signers.some((signer) => fixed.has(signer))) for (const signer of signers) fixed.add(signer);
    }
  }
  return fixed;
}

/** Of fee per gas, without a division. */
function compare(a: Offer, b: Offer): number {
  const difference = a.fee * b.gasLimit - b.fee * a.gasLimit;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

const cheaper = (a: Offer, b: Offer): Offer => (compare(a, b) <= 0 ? a : b);
