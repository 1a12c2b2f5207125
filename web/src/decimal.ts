// Pure. Exact arithmetic on the decimal strings of the wire: what is shown as a number is never
// computed through a float.

interface Scaled {
  readonly digits: bigint;
  readonly scale: number;
}

/** Digits behind the point: "0.00001234" has 8, "61840" has 0. */
export function fractionDigits(amount: string): number {
  const point = amount.indexOf(".");
  return point < 0 ? 0 : amount.length - point - 1;
}

/** The same amount with at least so many digits behind the point: "61840" and 2 give "61840.00". */
export function pad(amount: string, digits: number): string {
  const missing = digits - fractionDigits(amount);
  if (missing <= 0) return amount;
  return `${amount}${amount.includes(".") ? "" : "."}${"0".repeat(missing)}`;
}

/** Below 0, 0 or above 0, as a is less than, equal to or greater than b. */
export function compare(a: string, b: string): number {
  const [x, y] = align(a, b);
  return x < y ? -1 : x > y ? 1 : 0;
}

/** a - b, as an exact decimal string without trailing zeros. */
export function subtract(a: string, b: string): string {
  const [x, y, scale] = align(a, b);
  return render(x - y, scale);
}

/**
 * How much `to` differs from `from`, in percent with two digits, signed ("+0.25", "-1.00"),
 * rounded half away from zero. Null when `from` is zero.
 */
export function percentChange(from: string, to: string): string | null {
  const [x, y] = align(from, to);
  if (x === 0n) return null;
  const numerator = (y - x) * 10_000n * 2n;
  const negative = numerator < 0n !== x < 0n;
  const magnitude = (abs(numerator) + abs(x)) / (abs(x) * 2n);
  const body = `${magnitude / 100n}.${(magnitude % 100n).toString().padStart(2, "0")}`;
  return magnitude === 0n ? "0.00" : `${negative ? "-" : "+"}${body}`;
}

function parse(amount: string): Scaled {
  const scale = fractionDigits(amount);
  return { digits: BigInt(amount.replace(".", "")), scale };
}

function align(a: string, b: string): [bigint, bigint, number] {
  const x = parse(a);
  const y = parse(b);
  const scale = Math.max(x.scale, y.scale);
  return [x.digits * 10n ** BigInt(scale - x.scale), y.digits * 10n ** BigInt(scale - y.scale), scale];
}

function render(digits: bigint, scale: number): string {
  const sign = digits < 0n ? "-" : "";
  const padded = abs(digits).toString().padStart(scale + 1, "0");
  const whole = padded.slice(0, padded.length - scale);
  const fraction = padded.slice(padded.length - scale).replace(/0+$/, "");
  return fraction === "" ? `${sign}${whole}` : `${sign}${whole}.${fraction}`;
}

function abs(value: bigint): bigint {
  return value < 0n ? -value : value;
}
