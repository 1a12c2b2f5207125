//! How a gateway is set up, with its defaults.

use std::net::SocketAddr;
use std::time::Duration;

use runtime::broker::CloseStart;
use runtime::telemetry::Tracer;
use wire::Scope;
use wire::api::TopicEntry;

use crate::shard::Limits;
use crate::{liveness, native};

/// How a gateway is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The feed and region whose bars it serves.
    pub scope: Scope,
    /// Where it listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Threads that connections are spread over.
    pub shards: usize,
    /// Topics known before the first bar comes; others are learned from the bus.
    pub topics: Vec<TopicEntry>,
    /// Which of the bus's closes are read at the start. [`CloseStart::First`] fills the rings with what a bus in memory
    /// holds; with a long log behind, [`CloseStart::Next`] is enough, since what is asked for beyond is read from there.
    pub closes_from: CloseStart,
    /// How long accepting may wait at the start for the first word from the bus, so that whoever connects finds the
    /// topics. Not at all where topics are configured.
    pub first_word_max: Duration,
    /// How long the event time of an instrument may stand still before it is no longer called fresh: three times the
    /// 10 s after which open bars are said again.
    pub fresh_max: Duration,
    /// Closes kept a stream for who is slow or resumes. At some 900 bytes each, 64 of 4,000 topics take 230 MB.
    pub ring_len: usize,
    /// How long updates are gathered at most, under load.
    pub flush_max: Duration,
    /// How long an open bar waits for the close that it follows, which comes by another path.
    pub hold_max: Duration,
    /// Between two pings of one connection.
    pub ping_period: Duration,
    /// From a ping to the close, if no pong comes.
    pub pong_max: Duration,
    /// How long one frame may take to leave before its client is closed as slow.
    pub write_lag_max: Duration,
    /// How long a client may take for one message, from its first byte to its last.
    pub message_wait_max: Duration,
    /// How long a client is given to answer a close.
    pub close_wait: Duration,
    /// WebSockets at one time; further handshakes get 503. Fewer if the hard limit of open files
    /// does not allow so many; the soft limit is raised to it.
    pub connections_max: usize,
    /// Connections that speak HTTP at one time; the next ones wait in the backlog. Each is bounded in time by
    /// [`Options::http_life_max`], so that clients which send or read nothing cannot keep the door shut.
    pub http_max: usize,
    /// How long a connection may speak HTTP, idle or not, before it is told to end; a tenth of it later it is cut. A browser
    /// opens another.
    pub http_life_max: Duration,
    /// Topics and wildcards of one connection.
    pub subscriptions_max: usize,
    /// Topics in one request.
    pub request_topics_max: usize,
    /// Bytes of one client message.
    pub message_len_max: usize,
    /// Bytes of one text frame to a client, unless a single object is longer.
    pub frame_len_max: usize,
    /// How long the gateway goes on accepting after it was asked to stop, so that load balancers notice.
    pub linger: Duration,
    /// The time over which connections are closed then.
    pub drain: Duration,
    /// Where the spans of sampled bars go. Which are sampled is the publisher's choice.
    pub tracer: Tracer,
}

impl Options {
    /// The defaults for a feed.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            shards: std::thread::available_parallelism().map_or(1, Into::into),
            topics: Vec::new(),
            closes_from: CloseStart::First,
            first_word_max: Duration::from_secs(2),
            fresh_max: Duration::from_secs(30),
            ring_len: 64,
            flush_max: Duration::from_millis(50),
            hold_max: Duration::from_millis(500),
            ping_period: Duration::from_secs(20),
            pong_max: Duration::from_secs(60),
            write_lag_max: Duration::from_secs(30),
            message_wait_max: Duration::from_secs(30),
            close_wait: Duration::from_secs(2),
            connections_max: 15_000,
            http_max: 4_096,
            http_life_max: Duration::from_secs(60),
            subscriptions_max: 500,
            request_topics_max: 500,
            message_len_max: 64 * 1024,
            frame_len_max: 64 * 1024,
            linger: Duration::from_secs(3),
            drain: Duration::from_secs(10),
            tracer: Tracer::off(),
        }
    }

    /// The longest that a stop takes: [`Service::run`](crate::Service::run) is over after that, whatever clients do.
    #[must_use]
    pub fn stop_max(&self) -> Duration {
        self.linger + self.drain + self.close_wait + STOP_MARGIN
    }

    /// What of it bounds a shard.
    pub(crate) fn limits(&self) -> Limits {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Limits {
            liveness: liveness::Limits {
                ping_period_ms: ms(self.ping_period),
                pong_max_ms: ms(self.pong_max),
                write_lag_max_ms: ms(self.write_lag_max),
                message_wait_max_ms: ms(self.message_wait_max),
                close_wait_ms: ms(self.close_wait),
            },
            native: native::Limits {
                request_topics_max: self.request_topics_max,
                subscriptions_max: self.subscriptions_max,
            },
            message_len_max: self.message_len_max,
            frame_len_max: self.frame_len_max,
            ring_len: self.ring_len,
            hold_max_ms: ms(self.hold_max),
            flush_max: self.flush_max,
        }
    }
}

/// What the machine may take on top, at a stop.
pub(crate) const STOP_MARGIN: Duration = Duration::from_secs(2);
