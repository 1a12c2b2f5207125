// Pure: exact decimals. Nothing here rounds; what does not fit is an error.
use std::fmt;
use std::str::FromStr;

use crate::token::serde_by_text;

/// An exact, never negative decimal: `units / 10^SCALE` in 128 bits.
///
/// The scales are chosen so that the product of a price and a size is exact in its own type, and that a
/// day's sum of the largest market on the venues fits with room (`docs/decisions/0002-amounts.md`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal<const SCALE: u32>(i128);

/// Quote asset per unit of base asset; twelve decimals.
pub type Price = Decimal<12>;
/// An amount of the base asset, of a trade or summed; ten decimals.
pub type Size = Decimal<10>;
/// An amount of the quote asset: price times size, or a sum of such; twenty-two decimals, at most 1.7e16.
pub type Quote = Decimal<22>;

/// Why a number was refused. It is never rounded to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not of the form `digits[.digits]`: signs, exponents, blanks and other bytes are refused.
    #[error("not a plain decimal number")]
    Malformed,
    /// More decimals than the type holds, other than trailing zeros.
    #[error("more decimals than fit")]
    TooManyDecimals,
    /// Above the largest value that the type holds.
    #[error("number out of range")]
    OutOfRange,
}

impl<const SCALE: u32> Decimal<SCALE> {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// How many decimals are kept.
    pub const SCALE: u32 = SCALE;

    /// Takes a count of `10^-SCALE`; `None` if negative.
    pub const fn from_units(units: i128) -> Option<Self> {
        if units < 0 { None } else { Some(Self(units)) }
    }

    /// The count of `10^-SCALE`.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// Reads `digits[.digits]` exactly, such as an exchange writes it.
    ///
    /// # Errors
    /// See [`AmountError`].
    pub fn parse(text: &[u8]) -> Result<Self, AmountError> {
        let (whole, fraction) = split_point(text);
        if whole.is_empty() || fraction.is_some_and(<[u8]>::is_empty) {
            return Err(AmountError::Malformed);
        }
        let fraction = fraction.unwrap_or(b"");
        let kept = fraction.len().min(SCALE as usize);
        let (digits, beyond) = fraction.split_at(kept);
        let units = match parse_short(whole, digits) {
            Some(units) => units?,
            None => push_digits(push_digits(0, whole)?, digits)?,
        };
        check_zeros(beyond)?;
        let missing = SCALE - u32::try_from(kept).map_err(|_| AmountError::Malformed)?;
        units
            .checked_mul(POWERS[missing as usize])
            .map(Self)
            .ok_or(AmountError::OutOfRange)
    }

    /// The exact sum, or `None` when it does not fit.
    #[inline]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The exact difference, or `None` when it would be negative.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(Self::from_units)
    }

    /// True for nothing at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Appends the shortest exact text: no exponent, no trailing zeros, no point where there are no decimals.
    pub fn write_to(self, out: &mut Vec<u8>) {
        let mut buffer = [0u8; TEXT_LEN_MAX];
        let start = self.format(&mut buffer);
        out.extend_from_slice(&buffer[start..]);
    }

    /// Fills the buffer from its end and gives where the text starts.
    fn format(self, buffer: &mut [u8; TEXT_LEN_MAX]) -> usize {
        let mut at = TEXT_LEN_MAX;
        // Decimals come first from the right; those that end in zeros are skipped, not written.
        let mut rest = Digits::new(self.0.unsigned_abs());
        let mut written = false;
        for _ in 0..SCALE {
            let digit = rest.pop();
            if digit != 0 || written {
                written = true;
                at -= 1;
                buffer[at] = b'0' + digit;
            }
        }
        if written {
            at -= 1;
            buffer[at] = b'.';
        }
        loop {
            at -= 1;
            buffer[at] = b'0' + rest.pop();
            if rest.is_empty() {
                return at;
            }
        }
    }
}

impl Price {
    /// The exact value of a trade: price times size. `None` when it is above what [`Quote`] holds.
    #[inline]
    pub fn checked_mul(self, size: Size) -> Option<Quote> {
        // 12 + 10 = 22 decimals: the product needs no rescaling. Nearly all factors fit 64 bits, and the
        // product of two such always fits 127.
        match (i64::try_from(self.0), i64::try_from(size.0)) {
            (Ok(price), Ok(size)) => Some(Decimal(i128::from(price) * i128::from(size))),
            _ => self.0.checked_mul(size.0).map(Decimal),
        }
    }
}

/// 39 digits of an i128, a point, and a zero before it.
const TEXT_LEN_MAX: usize = 41;

const POWERS: [i128; 23] = {
    let mut powers = [1i128; 23];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

fn split_point(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&b| b == b'.') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// The common case in 64-bit arithmetic: up to 18 digits cannot overflow. `None` when there are more.
#[inline]
fn parse_short(whole: &[u8], digits: &[u8]) -> Option<Result<i128, AmountError>> {
    if whole.len() + digits.len() > 18 {
        return None;
    }
    let mut units = 0u64;
    for &b in whole.iter().chain(digits) {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return Some(Err(AmountError::Malformed));
        }
        units = units * 10 + u64::from(digit);
    }
    Some(Ok(i128::from(units)))
}

fn push_digits(mut units: i128, digits: &[u8]) -> Result<i128, AmountError> {
    for &b in digits {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return Err(AmountError::Malformed);
        }
        units = units
            .checked_mul(10)
            .and_then(|units| units.checked_add(i128::from(digit)))
            .ok_or(AmountError::OutOfRange)?;
    }
    Ok(units)
}

fn check_zeros(beyond: &[u8]) -> Result<(), AmountError> {
    if beyond.iter().any(|b| !b.is_ascii_digit()) {
        return Err(AmountError::Malformed);
    }
    if beyond.iter().any(|&b| b != b'0') {
        return Err(AmountError::TooManyDecimals);
    }
    Ok(())
}

/// Takes decimal digits off a number from the right, in 64-bit pieces: dividing 128 bits a digit at a time is
/// some ten times slower.
struct Digits {
    high: u128,
    low: u64,
    low_left: u32,
}

const LOW_DIGITS: u32 = 18;
const LOW_BASE: u128 = 1_000_000_000_000_000_000;

impl Digits {
    fn new(units: u128) -> Self {
        let (high, low) = split_low(units);
        Self {
            high,
            low,
            low_left: LOW_DIGITS,
        }
    }

    fn pop(&mut self) -> u8 {
        if self.low_left == 0 {
            *self = Self::new(self.high);
        }
        let digit = (self.low % 10) as u8;
        self.low /= 10;
        self.low_left -= 1;
        digit
    }

    fn is_empty(&self) -> bool {
        self.low == 0 && self.high == 0
    }
}

fn split_low(units: u128) -> (u128, u64) {
    if let Ok(low) = u64::try_from(units)
        && u128::from(low) < LOW_BASE
    {
        return (0, low);
    }
    // The remainder is below 10^18, which fits 64 bits.
    (units / LOW_BASE, (units % LOW_BASE) as u64)
}

impl<const SCALE: u32> fmt::Display for Decimal<SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0u8; TEXT_LEN_MAX];
        let start = self.format(&mut buffer);
        let text = std::str::from_utf8(&buffer[start..]).map_err(|_| fmt::Error)?;
        f.pad_integral(true, "", text)
    }
}

impl<const SCALE: u32> fmt::Debug for Decimal<SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const SCALE: u32> FromStr for Decimal<SCALE> {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        Self::parse(text.as_bytes())
    }
}

serde_by_text!(Price);
serde_by_text!(Size);
serde_by_text!(Quote);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_round_trips_in_its_shortest_form() {
        let check = |text: &str, expect: &str| {
            assert_eq!(
                text.parse::<Price>().unwrap().to_string(),
                expect,
                "{text:?}"
            );
        };
        check("61837.63000000", "61837.63");
        check("0.00000000", "0");
        check("0", "0");
        check("10", "10");
        check("100.00", "100");
        check("0.000000000001", "0.000000000001");
        check("92233720368.0", "92233720368");
        check("0.10000000000000000000000000", "0.1");
        check("007.5", "7.5");
        check(
            "99999999999999999999999.123456789012",
            "99999999999999999999999.123456789012",
        );
        check("1000000000000000000", "1000000000000000000");
        check("1000000", "1000000");
        check("1000000.000001", "1000000.000001");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        use AmountError::{Malformed, OutOfRange, TooManyDecimals};
        let check = |text: &str, expect: AmountError| {
            assert_eq!(text.parse::<Price>(), Err(expect), "{text:?}");
        };
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e5",
            " 1",
            "1 ",
            "1,5",
            "NaN",
            "0x1",
            "1.5.2",
            "１",
            "1.0000000000000x",
        ] {
            check(text, Malformed);
        }
        check("0.0000000000001", TooManyDecimals);
        check("1.1234567890123", TooManyDecimals);
        check("999999999999999999999999999999", OutOfRange);
        check(&"9".repeat(400), OutOfRange);
    }

    #[test]
    fn the_product_is_exact() {
        let check = |price: &str, size: &str, expect: &str| {
            let product = price
                .parse::<Price>()
                .unwrap()
                .checked_mul(size.parse().unwrap())
                .unwrap();
            assert_eq!(product.to_string(), expect);
        };
        check("61837.63", "0.02", "1236.7526");
        check("0.00000083", "92233720368.1234567", "76553.987905542469061");
        check("10000000", "100000000", "1000000000000000");
        let most: Price = "99999999999999".parse().unwrap();
        assert_eq!(most.checked_mul("999999999".parse().unwrap()), None);
    }

    #[test]
    fn a_single_fill_of_the_largest_market_is_far_from_the_limit() {
        // BTTCUSDT's maxQty, ten thousand times over.
        let mut sum = Size::ZERO;
        for _ in 0..10_000 {
            sum = sum.checked_add("92233720368.0".parse().unwrap()).unwrap();
        }
        assert_eq!(sum.to_string(), "922337203680000");
    }

    #[test]
    fn json_is_a_string_and_only_a_string() {
        let price: Price = serde_json::from_str("\"61840.00\"").unwrap();
        assert_eq!(serde_json::to_string(&price).unwrap(), "\"61840\"");
        assert!(serde_json::from_str::<Price>("61840.5").is_err());
    }

    proptest! {
        #[test]
        fn any_units_round_trip(units in 0..=i128::MAX) {
            let quote = Quote::from_units(units).unwrap();
            let text = quote.to_string();
            prop_assert_eq!(text.parse::<Quote>().unwrap(), quote);
            let mut bytes = Vec::new();
            quote.write_to(&mut bytes);
            prop_assert_eq!(bytes, text.as_bytes());
            prop_assert!(!text.contains('.') || !text.ends_with('0'));
        }

        #[test]
        fn small_units_round_trip(units in 0..=i128::from(u64::MAX)) {
            let price = Price::from_units(units).unwrap();
            prop_assert_eq!(price.to_string().parse::<Price>().unwrap(), price);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Size::parse(&bytes);
        }
    }
}
