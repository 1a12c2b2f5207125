// Pure: where in which trace something is, and how a message says so.
#![deny(clippy::disallowed_methods)]

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

/// A sampled trace and the span in it that comes next above: what is handed on along the path and, as a header, across
/// processes. There is one only where the trace is sampled; what is not sampled carries nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace, the same from the exchange's frame to the client's.
    pub trace_id: TraceId,
    /// The span that whoever takes this makes children of.
    pub span_id: NonZeroU64,
}

/// The number of a trace; written as 32 hexadecimal digits in headers, logs and exemplars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub NonZeroU128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The header of a sampled message, after W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";

/// Version, trace, span, flags, and three hyphens.
const HEADER_LEN: usize = 2 + 32 + 16 + 2 + 3;

/// The flag that says that the trace is sampled.
const SAMPLED: u8 = 1;

impl TraceContext {
    /// The same trace, one span further down.
    #[must_use]
    pub const fn with_span(self, span_id: NonZeroU64) -> Self {
        Self {
            trace_id: self.trace_id,
            span_id,
        }
    }

    /// The value of [`TRACEPARENT`]: `00-<32 digits>-<16 digits>-01`.
    #[must_use]
    pub fn to_header(self) -> String {
        format!("00-{}-{:016x}-{SAMPLED:02x}", self.trace_id, self.span_id)
    }

    /// Reads the value of [`TRACEPARENT`]. `None` for a trace that is not sampled, and for what is no such value: a
    /// bar is worth passing on whatever its header says. Of a later version the known parts are read, as W3C asks.
    #[must_use]
    pub fn from_header(text: &str) -> Option<Self> {
        let (known, rest) = text.split_at_checked(HEADER_LEN)?;
        let mut parts = known.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = hex(parts.next()?, 16)?;
        let flags = hex(parts.next()?, 2)?;
        let ends = rest.is_empty() || (version > 0 && rest.starts_with('-'));
        if version == 0xff || !ends || flags & u128::from(SAMPLED) == 0 {
            return None;
        }
        Some(Self {
            trace_id: TraceId(NonZeroU128::new(trace_id)?),
            // Sixteen digits, so that it fits.
            span_id: NonZeroU64::new(u64::try_from(span_id).ok()?)?,
        })
    }
}

/// A number of exactly so many hexadecimal digits, which W3C wants in lower case.
fn hex(text: &str, len: usize) -> Option<u128> {
    let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != len || !text.bytes().all(digits) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of W3C Trace Context, 3.2.3.
    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_standard() {
        let context = TraceContext::from_header(EXAMPLE).unwrap();
        assert_eq!(
            context.trace_id.to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_eq!(context.span_id.get(), 0x00f0_67aa_0ba9_02b7);
        assert_eq!(context.to_header(), EXAMPLE);
    }

    #[test]
    fn what_is_no_sampled_context_is_none() {
        let with = |at: usize, text: &str| {
            let mut header = EXAMPLE.to_owned();
            header.replace_range(at..at + text.len(), text);
            header
        };
        let check = |header: &str, expect: bool| {
            let read = TraceContext::from_header(header);
            assert_eq!(read.is_some(), expect, "{header:?}");
        };
        check(EXAMPLE, true);
        check(&with(53, "00"), false);
        check(&with(53, "03"), true);
        check(&with(3, "4BF9"), false);
        check(&with(3, "+bf9"), false);
        check(&with(2, "_"), false);
        check(&with(36, "0000000000000000"), false);
        check(&with(3, &"0".repeat(32)), false);
        check(&with(0, "ff"), false);
        // A later version may say more, behind a hyphen.
        check(&with(0, "01"), true);
        check(&(with(0, "01") + "-more"), true);
        check(&(with(0, "01") + "more"), false);
        check(&format!("{EXAMPLE}-more"), false);
        check(&EXAMPLE[..54], false);
        check("", false);
        check(&"é".repeat(40), false);
    }

    #[test]
    fn an_absent_context_costs_no_more_than_one() {
        assert_eq!(size_of::<Option<TraceContext>>(), size_of::<TraceContext>());
        assert_eq!(size_of::<TraceContext>(), 32);
    }

    proptest! {
        #[test]
        fn every_context_comes_back(trace_id in 1_u128.., span_id in 1_u64..) {
            let context = TraceContext {
                trace_id: TraceId(NonZeroU128::new(trace_id).unwrap()),
                span_id: NonZeroU64::new(span_id).unwrap(),
            };
            prop_assert_eq!(TraceContext::from_header(&context.to_header()), Some(context));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,70}") {
            let _ = TraceContext::from_header(&text);
        }
    }
}
