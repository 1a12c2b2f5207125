// Pure: faults: what they are, when they strike, and how often they did.
#![deny(clippy::disallowed_methods)]

/// What can go wrong.
mod what;

/// What a fault does to the text of a message.
mod text;

/// What a fault does to the order and the framing of a connection's messages.
pub mod tamper;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use what::What;

use crate::random::Random;
use crate::venue::{Class, Kind};

/// One fault: what, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub what: What,
    /// Only at this venue; else at all.
    pub venue: Option<Kind>,
    /// Only in messages that hold this text, such as the venue's own spelling of a symbol.
    pub symbol: Option<String>,
    /// Not before the venue's clock shows this, Unix milliseconds.
    pub at_ms: Option<i64>,
    /// Not before this many messages (or attempts, or requests) that it could have struck have passed.
    pub after: u64,
    /// How likely it strikes each of them, 0 to 1.
    pub probability: Option<f64>,
    /// How often it strikes at most. Once if neither this nor a probability is given.
    pub count: Option<u64>,
}

/// Why a fault's description is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON, or not of a fault's shape.
    #[error("not a fault: {0}")]
    Malformed(#[from] serde_json::Error),
    /// No such venue.
    #[error("not a fault: {0:?} is no venue")]
    UnknownVenue(String),
    /// Not between 0 and 1.
    #[error("not a fault: the probability is not from 0 to 1")]
    Probability,
    /// There are as many as there may be.
    #[error("there are {FAULTS_MAX} faults already: delete them first")]
    TooMany,
}

/// A fault as JSON: `{"kind":"drop","params":{},"venue":"coinbase","symbol":"BTC-USD","at":1723161300000,
/// "after":100,"probability":0.01,"count":5}`, all but `kind` optional.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    kind: String,
    #[serde(default)]
    params: Option<Value>,
    venue: Option<String>,
    symbol: Option<String>,
    at: Option<i64>,
    #[serde(default)]
    after: u64,
    probability: Option<f64>,
    count: Option<u64>,
}

impl Fault {
    /// Reads one fault from its JSON.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse(value: Value) -> Result<Self, Error> {
        let raw: Raw = serde_json::from_value(value)?;
        let params = raw.params.unwrap_or_else(|| json!({}));
        let what = serde_json::from_value(json!({ "kind": raw.kind, "params": params }))?;
        let venue = match raw.venue {
            Some(name) => Some(Kind::from_name(&name).ok_or(Error::UnknownVenue(name))?),
            None => None,
        };
        if raw.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err(Error::Probability);
        }
        let (symbol, at_ms, after) = (raw.symbol, raw.at, raw.after);
        Ok(Self {
            what,
            venue,
            symbol,
            at_ms,
            after,
            probability: raw.probability,
            count: raw.count,
        })
    }

    /// The same again as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = serde_json::to_value(&self.what).unwrap_or_default();
        if let Value::Object(object) = &mut value {
            object.insert("venue".to_owned(), json!(self.venue.map(Kind::name)));
            object.insert("symbol".to_owned(), json!(self.symbol));
            object.insert("at".to_owned(), json!(self.at_ms));
            object.insert("after".to_owned(), json!(self.after));
            object.insert("probability".to_owned(), json!(self.probability));
            object.insert("count".to_owned(), json!(self.count));
        }
        value
    }

    fn count_max(&self) -> u64 {
        self.count.unwrap_or(if self.probability.is_some() {
            u64::MAX
        } else {
            1
        })
    }
}

/// Reads a JSON list of faults.
///
/// # Errors
/// See [`Error`].
pub fn parse_list(text: &str) -> Result<Vec<Fault>, Error> {
    let values: Vec<Value> = serde_json::from_str(text)?;
    values.into_iter().map(Fault::parse).collect()
}

/// The faults of one venue.
#[derive(Debug)]
pub struct Faults {
    active: Vec<Active>,
    random: Random,
    next_id: u64,
}

/// Each message asks every fault; a hundred are more than a test needs and cost little.
pub const FAULTS_MAX: usize = 100;

#[derive(Debug)]
struct Active {
    id: u64,
    fault: Fault,
    /// How many messages it could have struck.
    seen: u64,
    /// How many it struck.
    strikes: u64,
    /// Until when a lasting fault lasts, on the server's clock.
    until_ms: Option<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            active: Vec::new(),
            random: Random::new(1),
            next_id: 1,
        }
    }
}

impl Faults {
    /// Adds one.
    ///
    /// # Errors
    /// [`Error::TooMany`].
    pub fn handle_fault(&mut self, fault: Fault) -> Result<u64, Error> {
        if self.active.len() >= FAULTS_MAX {
            return Err(Error::TooMany);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.active.push(Active {
            id,
            fault,
            seen: 0,
            strikes: 0,
            until_ms: None,
        });
        Ok(id)
    }

    /// Ends all of them.
    pub fn handle_clear(&mut self) {
        self.active.clear();
    }

    /// Whether there are any: the common case is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// What strikes this message, in the order in which the faults were added.
    pub fn handle_message(
        &mut self,
        now_ms: u64,
        clock_ms: Option<i64>,
        class: Class,
        text: &str,
    ) -> Vec<What> {
        let mut strikes = Vec::new();
        for active in &mut self.active {
            let concerned = active.fault.what.concerns(class)
                && active
                    .fault
                    .symbol
                    .as_deref()
                    .is_none_or(|symbol| text.contains(symbol));
            if concerned && active.strikes(now_ms, clock_ms, &mut self.random) {
                strikes.push(active.fault.what.clone());
            }
        }
        strikes
    }

    /// Whether a new connection or a request is refused.
    pub fn handle_attempt(&mut self, now_ms: u64, clock_ms: Option<i64>) -> bool {
        let mut refused = false;
        for active in self
            .active
            .iter_mut()
            .filter(|active| matches!(active.fault.what, What::Refuse { .. }))
        {
            refused |= active.strikes(now_ms, clock_ms, &mut self.random);
        }
        refused
    }

    /// The faults and how often each struck, as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let entry = |a: &Active| json!({ "id": a.id, "fault": a.fault.to_json(), "seen": a.seen, "strikes": a.strikes });
        self.active.iter().map(entry).collect()
    }
}

impl Active {
    fn strikes(&mut self, now_ms: u64, clock_ms: Option<i64>, random: &mut Random) -> bool {
        if let Some(until_ms) = self.until_ms {
            if now_ms < until_ms {
                return true;
            }
            self.until_ms = None;
        }
        if self
            .fault
            .at_ms
            .is_some_and(|at_ms| clock_ms.is_none_or(|clock_ms| clock_ms < at_ms))
        {
            return false;
        }
        self.seen += 1;
        if self.seen <= self.fault.after || self.strikes >= self.fault.count_max() {
            return false;
        }
        if let Some(probability) = self.fault.probability {
            let drawn = u32::try_from(random.below(MILLION.into())).unwrap_or(MILLION);
            if f64::from(drawn) >= probability * f64::from(MILLION) {
                return false;
            }
        }
        self.strikes += 1;
        self.until_ms = match self.fault.what {
            What::Silence { ms } | What::Refuse { ms } => Some(now_ms.saturating_add(ms)),
            _ => None,
        };
        true
    }
}

const MILLION: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> Fault {
        Fault::parse(serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn descriptions_are_checked() {
        let check = |json: &str, expect: &str| {
            let error = parse_list(json).unwrap_err().to_string();
            assert!(
                error.contains(expect) && !error.contains('\n'),
                "{json}: {error}"
            );
        };
        check("{", "expected a sequence");
        check("[{", "EOF");
        check(r#"[{"kind":"explode"}]"#, "unknown variant `explode`");
        check(
            r#"[{"kind":"drop","params":{"ms":1}}]"#,
            "unknown field `ms`",
        );
        check(r#"[{"kind":"delay"}]"#, "missing field `ms`");
        check(r#"[{"kind":"drop","when":1}]"#, "unknown field `when`");
        check(
            r#"[{"kind":"drop","venue":"kraken"}]"#,
            "\"kraken\" is no venue",
        );
        check(r#"[{"kind":"drop","probability":1.5}]"#, "0 to 1");
        assert_eq!(
            parse_list(r#"[{"kind":"drop"},{"kind":"delay","params":{"ms":5}}]"#)
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn json_goes_both_ways() {
        let json = r#"{"kind":"delay","params":{"ms":5},"venue":"coinbase","symbol":"BTC-USD","after":3,"count":2}"#;
        assert_eq!(Fault::parse(fault(json).to_json()).unwrap(), fault(json));
    }

    #[test]
    fn when_it_strikes() {
        let check = |json: &str, expect: &[u32]| {
            let mut faults = Faults::default();
            faults.handle_fault(fault(json)).unwrap();
            // Ten messages a second apart, of trades of two symbols in turn.
            let struck: Vec<u32> = (0..10u32)
                .filter(|&n| {
                    let (now_ms, clock_ms) = (u64::from(n) * 1_000, i64::from(n) * 1_000);
                    let text = if n % 2 == 0 { "BTCUSDT" } else { "ETHUSDT" };
                    !faults
                        .handle_message(now_ms, Some(clock_ms), Class::Trade, text)
                        .is_empty()
                })
                .collect();
            assert_eq!(struck, expect, "{json}");
        };
        check(r#"{"kind":"drop"}"#, &[0]);
        check(r#"{"kind":"drop","after":3,"count":2}"#, &[3, 4]);
        check(r#"{"kind":"drop","at":7500,"count":9}"#, &[8, 9]);
        check(r#"{"kind":"drop","symbol":"ETHUSDT","count":2}"#, &[1, 3]);
        check(
            r#"{"kind":"drop","probability":1}"#,
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        );
        check(r#"{"kind":"drop","probability":0}"#, &[]);
        check(
            r#"{"kind":"silence","params":{"ms":2500},"after":2}"#,
            &[2, 3, 4],
        );
        check(r#"{"kind":"slow_ack","params":{"ms":1}}"#, &[]);
        check(r#"{"kind":"refuse","params":{"ms":1}}"#, &[]);
    }

    #[test]
    fn refusals_last() {
        let mut faults = Faults::default();
        faults
            .handle_fault(fault(r#"{"kind":"refuse","params":{"ms":1000},"after":1}"#))
            .unwrap();
        let refused: Vec<_> = [0, 100, 600, 1_099, 1_100]
            .map(|now_ms| faults.handle_attempt(now_ms, None))
            .into();
        assert_eq!(refused, [false, true, true, true, false]);
    }

    #[test]
    fn there_is_a_bound() {
        let mut faults = Faults::default();
        for _ in 0..FAULTS_MAX {
            faults.handle_fault(fault(r#"{"kind":"drop"}"#)).unwrap();
        }
        assert!(matches!(
            faults.handle_fault(fault(r#"{"kind":"drop"}"#)),
            Err(Error::TooMany)
        ));
        faults.handle_clear();
        assert!(faults.is_empty());
    }
}
