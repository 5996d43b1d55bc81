/**
 * ln and exp that give the same bits on every platform. ECMAScript leaves the last digit of Math.log and Math.exp to
 * the engine; these use only + − × ÷ on IEEE doubles in the order written here. They feed an argmax, so agreement
 * matters more than the last half unit of accuracy (error < 2 ulp, see the tests).
 */

const view = new DataView(new ArrayBuffer(8));
const LN2_HIGH = 2977044471 / 4294967296; // the first 32 bits of ln 2, so that an exponent times it is exact
const LN2_LOW = 1.9082149292705877e-10; // ln 2 − LN2_HIGH
// biome-ignore lint/suspicious/noApproximativeNumericConstant: the rounding is part of the definition
const INVERSE_LN2 = 1.4426950408889634;

/** ln x for a normal x > 0: x = 2^e·m with √½ ≤ m < √2, ln m = 2·artanh((m−1)/(m+1)) as a series of ten terms. */
export function ln(x: number): number {
  view.setFloat64(0, x);
  const high = view.getUint32(0);
  let exponent = (high >>> 20) - 1023;
  view.setUint32(0, (high & 0x000fffff) | 0x3ff00000);
  let m = view.getFloat64(0);
  if (m > Math.SQRT2) {
    m = m / 2;
    exponent += 1;
  }
  const f = m - 1;
  const s = f / (2 + f);
  const z = s * s;
  let series = 0;
  for (let n = 21; n >= 3; n -= 2) series = series * z + 1 / n;
  // 2s = f − s·f, so ln m = f − s·(f − 2z·series′); this keeps full accuracy near 1.
  const tail = 2 * z * series;
  return exponent * LN2_HIGH + (f - (s * (f - tail) - exponent * LN2_LOW));
}

/** e^x for −700 ≤ x ≤ 700, 0 below and capped above: x = k·ln 2 + r, |r| ≤ ½ ln 2, Taylor series of degree 14. */
export function exp(x: number): number {
  if (x < -700) return 0;
  const bounded = x > 700 ? 700 : x;
  const k = Math.floor(bounded * INVERSE_LN2 + 0.5);
  const r = bounded - k * LN2_HIGH - k * LN2_LOW;
  let series = 1;
  for (let n = 14; n >= 1; n--) series = 1 + (r * series) / n;
  view.setUint32(0, (k + 1023) << 20);
  view.setUint32(4, 0);
  return series * view.getFloat64(0);
}
