//! Places for connections: how many there may be, and on which shard.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use prometheus_client::metrics::gauge::Gauge;

/// The places of all shards.
#[derive(Debug)]
pub(crate) struct Seats {
    max: usize,
    /// None is given any more.
    closed: AtomicBool,
    taken: AtomicUsize,
    by_shard: Vec<AtomicUsize>,
    gauge: Gauge,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    shard: usize,
}

impl Seats {
    /// `max` places over `shards` shards.
    pub(crate) fn new(max: usize, shards: usize, gauge: Gauge) -> Arc<Self> {
        Arc::new(Self {
            max,
            closed: AtomicBool::new(false),
            taken: AtomicUsize::new(0),
            by_shard: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
            gauge,
        })
    }

    /// Gives none any more: the gateway stops.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whether [`Seats::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Takes a place on the emptiest shard; `None` when all are taken, or closed. One that is taken just before the
    /// close may still come to a shard that has ended, which then refuses it.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Seat> {
        if self.is_closed() {
            return None;
        }
        let free = |taken| (taken < self.max).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, free)
            .ok()?;
        // Two that come at once may choose the same shard; the next ones even it out.
        let (shard, count) = self
            .by_shard
            .iter()
            .enumerate()
            .min_by_key(|(_, count)| count.load(Ordering::Relaxed))?;
        count.fetch_add(1, Ordering::Relaxed);
        self.gauge.inc();
        Some(Seat {
            seats: Arc::clone(self),
            shard,
        })
    }

    /// Places taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Seat {
    /// On which shard.
    pub(crate) fn shard(&self) -> usize {
        self.shard
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.by_shard[self.shard].fetch_sub(1, Ordering::Relaxed);
        self.seats.taken.fetch_sub(1, Ordering::Relaxed);
        self.seats.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_fill_evenly_and_come_back() {
        let seats = Seats::new(5, 2, Gauge::default());
        let mut taken: Vec<Seat> = (0..5).map(|_| seats.take().unwrap()).collect();
        let shards: Vec<usize> = taken.iter().map(Seat::shard).collect();
        assert_eq!(shards, [0, 1, 0, 1, 0]);
        assert!(seats.take().is_none());
        taken.remove(1);
        assert_eq!(seats.taken(), 4);
        assert_eq!(seats.take().unwrap().shard(), 1);
        assert!(!seats.is_closed());
        seats.close();
        assert!(seats.take().is_none());
    }
}
