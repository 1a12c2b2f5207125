// Pure: what the service is told to do.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::time::Duration;

use runtime::backoff;
use runtime::telemetry::Tracer;
use wire::{Instrument, Interval, Scope, ShardCount, ShardId, Symbol, Venue};

use crate::assignment::InLog;
use crate::clock::STEP_MAX_MS;
use crate::owner;
use crate::repair::RestBudgets;
use crate::roster::{Wanted, WantedSource};
use crate::session;
use crate::venue::{AdapterError, Endpoints};

/// What to carry, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The venues, in the order in which they are listed: the first to list a symbol has its short topic.
    pub sources: Vec<Source>,
    /// Bar lengths.
    pub intervals: Vec<Interval>,
    /// How long, by the venue's clock, a bar waits for stragglers after its end. At least [`REORDER_WINDOW_MIN`].
    pub reorder_window: Duration,
    /// How often open bars are sent.
    pub update_interval: Duration,
    /// What happens when a shard's inbox is full.
    pub when_full: WhenFull,
    /// How many shards the instruments are split into, where no assignment says it.
    pub shards: ShardCount,
    /// Which shards this process serves, each in a task of its own.
    pub hosted: Hosted,
    /// Names this process among those of its shard; no two that ever run have one name.
    pub instance: String,
    /// When leases are taken and given up.
    pub ownership: Ownership,
    /// Whether trades that are missing are fetched by the venues' REST interfaces.
    pub repair: bool,
    /// What they may be asked, by all that ask in this process: repairs of every generation of the assignment, and
    /// whoever asks which symbols there are.
    pub rest_budgets: RestBudgets,
    /// Told which assignments the log of closes shows, for whoever judges those that come.
    pub in_log: InLog,
    /// The feed's place on the bus.
    pub scope: Scope,
    /// How patient connections are.
    pub session: session::Options,
    /// Waits between attempts to connect.
    pub reconnect: backoff::Options,
    /// Which frames are traced, and where their spans go.
    pub tracer: Tracer,
}

/// One message may move the venue's clock this far, and a damaged one must not close a bar that has not ended.
pub const REORDER_WINDOW_MIN: Duration = Duration::from_millis(STEP_MAX_MS.unsigned_abs());

/// Which shards a process serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosted {
    /// Every one: the whole feed in one process.
    All,
    /// One, as a process among others does.
    One(ShardId),
}

impl Hosted {
    /// The shard's place among those that are served, if it is.
    pub(crate) fn index(self, shard: ShardId) -> Option<usize> {
        match self {
            Self::All => Some(usize::from(shard.0)),
            Self::One(one) => (one == shard).then_some(0),
        }
    }

    /// The shard at the place.
    pub(crate) fn shard(self, index: usize) -> ShardId {
        match self {
            Self::All => ShardId(u16::try_from(index).unwrap_or(u16::MAX)),
            Self::One(one) => one,
        }
    }
}

/// When leases are taken and given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// How long a lease is believed without a renewal.
    pub lease_ttl: Duration,
    /// How much longer a standby waits that does not hear all its instruments yet.
    pub unlevel_wait: Duration,
}

impl Ownership {
    /// As the machine wants it.
    pub(crate) fn owner(&self) -> owner::Options {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let ttl_ms = ms(self.lease_ttl);
        owner::Options {
            ttl_ms,
            watch_ms: (ttl_ms / 10).max(1),
            unlevel_wait_ms: ms(self.unlevel_wait),
            ..owner::Options::default()
        }
    }
}

impl Default for Ownership {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(3),
            unlevel_wait: Duration::from_secs(5),
        }
    }
}

/// One venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Which.
    pub venue: Venue,
    /// What of it, in the order in which it is listed.
    pub symbols: Vec<Symbol>,
    /// Where it is, if not where the exchange itself is.
    pub endpoints: Option<Endpoints>,
}

/// What happens to a trade for which a shard's inbox has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// It is dropped and counted, and shows as a gap in the ids: an exchange hangs up on a reader that is slow.
    #[default]
    DropNewest,
    /// The socket is not read until there is room: for replays, which wait for their reader.
    Wait,
}

impl Options {
    /// Live defaults for these sources and intervals, in one shard.
    #[must_use]
    pub fn new(sources: Vec<Source>, intervals: Vec<Interval>, scope: Scope) -> Self {
        Self {
            sources,
            intervals,
            reorder_window: Duration::from_secs(2),
            update_interval: Duration::from_millis(250),
            when_full: WhenFull::default(),
            shards: ShardCount::MIN,
            hosted: Hosted::All,
            instance: "standalone".to_owned(),
            repair: false,
            rest_budgets: RestBudgets::default(),
            in_log: InLog::default(),
            // Alone, it waits for nobody.
            ownership: Ownership {
                unlevel_wait: Duration::ZERO,
                ..Ownership::default()
            },
            scope,
            session: session::Options::default(),
            reconnect: backoff::Options {
                base: Duration::from_millis(500),
                cap: Duration::from_secs(30),
            },
            tracer: Tracer::off(),
        }
    }

    /// The sources as the first and only generation of an assignment, each instrument placed by its hash.
    pub(crate) fn wanted(&self) -> Wanted {
        let source = |source: &Source| {
            let place = |symbol: &Symbol| {
                let instrument = Instrument::new(source.venue.clone(), symbol.clone());
                (symbol.clone(), ShardId::of(&instrument, self.shards))
            };
            WantedSource {
                venue: source.venue.clone(),
                endpoints: source.endpoints.clone(),
                symbols: source.symbols.iter().map(place).collect(),
            }
        };
        Wanted {
            generation: 0,
            sources: self.sources.iter().map(source).collect(),
        }
    }

    /// Intervals sorted, each once.
    ///
    /// # Errors
    /// When nothing would come out.
    pub(crate) fn checked_intervals(&self) -> Result<Vec<Interval>, ConfigError> {
        if self.update_interval.is_zero() {
            return Err(ConfigError::UpdateInterval);
        }
        if self.reorder_window < REORDER_WINDOW_MIN {
            return Err(ConfigError::ReorderWindow);
        }
        let intervals: BTreeSet<Interval> = self.intervals.iter().copied().collect();
        if intervals.is_empty() {
            return Err(ConfigError::NoIntervals);
        }
        Ok(intervals.into_iter().collect())
    }
}

/// Why options were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No venue.
    #[error("name at least one source")]
    NoSources,
    /// No bar length.
    #[error("name at least one interval")]
    NoIntervals,
    /// One venue, two lists.
    #[error("venue {0} is listed twice: put its symbols in one list")]
    VenueTwice(Venue),
    /// Open bars would be sent without pause.
    #[error("the update interval must be above zero")]
    UpdateInterval,
    /// A damaged time could close a bar before its end.
    #[error("the reorder window must be {REORDER_WINDOW_MIN:?} at least")]
    ReorderWindow,
    /// An encrypted address, and no encryption built in.
    #[error("{0} needs encryption, which this build lacks: build with the feature tls")]
    NoTls(String),
    /// No adapter can be made.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_contradict_themselves_are_refused() {
        let check = |venues: &[&str], intervals: &[&str], expect: Result<usize, &str>| {
            let source = |venue: &&str| Source {
                venue: venue.parse().unwrap(),
                symbols: vec!["BTC-USD".parse().unwrap()],
                endpoints: Some(Endpoints {
                    ws: "ws://x".to_owned(),
                    rest: "http://x".to_owned(),
                }),
            };
            let options = Options::new(
                venues.iter().map(source).collect(),
                intervals.iter().map(|text| text.parse().unwrap()).collect(),
                Scope::new("test", "local").unwrap(),
            );
            match (checked(&options), expect) {
                (Ok(intervals), Ok(count)) => assert_eq!(intervals.len(), count),
                (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
                (got, expect) => panic!("{got:?} where {expect:?} was expected"),
            }
        };
        fn checked(options: &Options) -> Result<Vec<Interval>, ConfigError> {
            let mut roster = crate::roster::Roster::new(options.hosted, options.shards);
            roster.handle_wanted(&options.wanted())?;
            options.checked_intervals()
        }
        check(&["coinbase"], &["1m", "1s", "1m"], Ok(2));
        check(&[], &["1m"], Err("at least one source"));
        check(&["coinbase"], &[], Err("at least one interval"));
        check(&["coinbase", "coinbase"], &["1m"], Err("listed twice"));
    }

    #[test]
    fn a_window_that_one_message_could_skip_is_refused() {
        let check = |window_ms: u64, expect: bool| {
            let source = Source {
                venue: "coinbase".parse().unwrap(),
                symbols: vec!["BTC-USD".parse().unwrap()],
                endpoints: None,
            };
            let scope = Scope::new("test", "local").unwrap();
            let mut options = Options::new(vec![source], vec![Interval::S1], scope);
            options.reorder_window = Duration::from_millis(window_ms);
            assert_eq!(options.checked_intervals().is_ok(), expect, "{window_ms}");
        };
        check(2_000, true);
        check(1_999, false);
        check(0, false);
    }
}
