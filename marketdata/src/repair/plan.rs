// Pure: which page is asked for when, and what the answers say of the ids that were missing.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::time::Duration;

use runtime::backoff::{self, Backoff};
use wire::Trade;

use crate::aggregate::Missing;
use crate::repair::pace::Pace;
use crate::route::{Input, Place};
use crate::venue::{InstrumentIndex, Page, Venue};

/// A hole that is to be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepairRequest {
    /// Of which of the venue's instruments.
    pub instrument: InstrumentIndex,
    /// Where what is fetched goes.
    pub place: Place,
    /// What is missing.
    pub missing: Missing,
}

/// What a shard tells whoever fills its holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToRepairer {
    /// This is to be filled.
    Fill(RepairRequest),
    /// The series at this place is carried no more: nothing of it is wanted.
    Released(Place),
}

/// Holes that wait, over all instruments of a source. A connection that is lost leaves one an instrument, of a few
/// hundred. 100 bytes each.
pub const JOBS_MAX: usize = 1_024;

/// Attempts at one page; then the rest of the hole stays as it is. With [`RETRY`], about a minute.
const ATTEMPTS_MAX: u32 = 6;

/// Pages of one hole: as many ids as are believed to be missing at once, and bounded where a venue turns in circles.
const PAGES_MAX: u32 = 128;

/// Waits between attempts.
const RETRY: backoff::Options = backoff::Options {
    base: Duration::from_millis(500),
    cap: Duration::from_secs(30),
};

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask for this path, and hand over what came of it.
    Send(String),
    /// Nothing until then, by the caller's clock in milliseconds.
    Wait(u64),
    /// Nothing until there is a request.
    Idle,
}

/// Why there is no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No answer, one that could not be read, or an error of the venue's.
    Unavailable,
    /// Too many requests; how long to wait, in milliseconds, if the venue says so.
    TooMany(Option<u64>),
    /// The venue refuses the request itself: asking again gives the same.
    Refused,
}

/// One source's holes. One page is asked for at a time. Time is any clock that never runs back, in milliseconds.
#[derive(Debug)]
pub struct Plan {
    jobs: VecDeque<Job>,
    asked: bool,
    /// Nothing is asked for before.
    pause_until_ms: u64,
    backoff: Backoff,
    out: VecDeque<(usize, Input)>,
}

#[derive(Debug)]
struct Job {
    request: RepairRequest,
    /// What is left of it.
    lo: u64,
    hi: u64,
    pages: u32,
    attempts: u32,
}

impl Plan {
    /// Nothing to do yet.
    #[must_use]
    pub fn new(rng: fastrand::Rng) -> Self {
        Self {
            jobs: VecDeque::new(),
            asked: false,
            pause_until_ms: 0,
            backoff: Backoff::new(RETRY, rng),
            out: VecDeque::new(),
        }
    }

    /// A shard tells this.
    pub fn handle_told(&mut self, told: ToRepairer) {
        match told {
            ToRepairer::Fill(request) => self.handle_request(request),
            ToRepairer::Released(place) => self.handle_released(place),
        }
    }

    /// Drops the series' holes without a word, since nobody waits for them. What comes of a page that was asked for one
    /// of them is passed over.
    pub fn handle_released(&mut self, place: Place) {
        let is_of = |job: &Job| job.request.place == place;
        if self.jobs.front().is_some_and(is_of) {
            self.asked = false;
        }
        self.jobs.retain(|job| !is_of(job));
    }

    /// A hole. Where there is no room for it, its shard is told to ask again later.
    pub fn handle_request(&mut self, request: RepairRequest) {
        let (lo, hi) = (request.missing.from_id, request.missing.to_id);
        if lo > hi || self.jobs.len() >= JOBS_MAX {
            self.end(&request, lo <= hi);
            return;
        }
        self.jobs.push_back(Job {
            request,
            lo,
            hi,
            pages: 0,
            attempts: 0,
        });
    }

    /// What to do now. After [`Step::Send`], [`Plan::handle_page`] or [`Plan::handle_failure`] comes first. The pace
    /// is the venue's, which others of this process keep too.
    pub fn poll_step(&mut self, venue: &dyn Venue, pace: &mut Pace, now_ms: u64) -> Step {
        while let Some(job) = self.jobs.front() {
            let Some(page) = venue.trades_page(job.request.instrument, job.lo, job.hi) else {
                self.finish();
                continue;
            };
            if now_ms < self.pause_until_ms {
                return Step::Wait(self.pause_until_ms);
            }
            return match pace.take(now_ms, page.tokens) {
                Ok(()) => {
                    self.asked = true;
                    Step::Send(page.path)
                }
                Err(wait_ms) => Step::Wait(now_ms.saturating_add(wait_ms.max(1))),
            };
        }
        Step::Idle
    }

    /// The page that was asked for: trades in any order. Those of the hole are handed over; ids between two that the
    /// venue has are void.
    pub fn handle_page(&mut self, mut trades: Vec<Trade>, now_ms: u64) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        trades.sort_unstable_by_key(|trade| trade.id);
        trades.dedup_by_key(|trade| trade.id);
        let Some(job) = self.jobs.front_mut() else {
            return;
        };
        let (lo, hi) = (job.lo, job.hi);
        let place = job.request.place;
        let told = trades.first().zip(trades.last());
        let Some((first, last)) = told.filter(|(first, last)| first.id <= hi && last.id >= lo)
        else {
            // The venue's interface trails its stream: what is not there yet may be a moment later.
            self.fail(now_ms, None);
            return;
        };
        let (first_id, last_id) = (first.id, last.id);
        job.pages += 1;
        job.attempts = 0;
        self.backoff.reset();
        for trade in trades.iter().filter(|trade| (lo..=hi).contains(&trade.id)) {
            let (series, trade) = (place.series, *trade);
            self.out
                .push_back((place.shard, Input::Repaired { series, trade }));
        }
        for pair in trades.windows(2) {
            let (from_id, to_id) = ((pair[0].id + 1).max(lo), (pair[1].id - 1).min(hi));
            if from_id <= to_id {
                let series = place.series;
                self.out.push_back((
                    place.shard,
                    Input::Void {
                        series,
                        from_id,
                        to_id,
                    },
                ));
            }
        }
        self.advance(first_id, last_id);
    }

    /// The page told everything between these two. What is left is above or below.
    fn advance(&mut self, first_id: u64, last_id: u64) {
        let Some(job) = self.jobs.front_mut() else {
            return;
        };
        let (below, above) = (first_id > job.lo, last_id < job.hi);
        match (below, above) {
            // A page from the lowest on, or one from the highest down.
            (false, true) => job.lo = last_id + 1,
            (true, false) => job.hi = first_id - 1,
            // The one, which lacks the lowest, or the other, which lacks the highest: there is no telling which, and
            // what is beside it is not there.
            (true, true) | (false, false) => {
                self.finish();
                return;
            }
        }
        if job.pages >= PAGES_MAX {
            self.finish();
        }
    }

    /// There is no page. Where the venue was asked too much, nobody asks it for a while.
    pub fn handle_failure(&mut self, failure: Failure, pace: &mut Pace, now_ms: u64) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        match failure {
            Failure::Unavailable => self.fail(now_ms, None),
            Failure::TooMany(wait_ms) => {
                let until_ms = pace.handle_too_many(now_ms, wait_ms);
                self.fail(now_ms, Some(until_ms.saturating_sub(now_ms)));
            }
            Failure::Refused => self.finish(),
        }
    }

    fn fail(&mut self, now_ms: u64, wait_ms: Option<u64>) {
        let delay = u64::try_from(self.backoff.next_delay().as_millis()).unwrap_or(u64::MAX);
        let delay = delay.max(wait_ms.unwrap_or(0));
        self.pause_until_ms = now_ms.saturating_add(delay);
        let Some(job) = self.jobs.front_mut() else {
            return;
        };
        job.attempts += 1;
        if job.attempts >= ATTEMPTS_MAX {
            self.finish();
        } else {
            // The others have their turn.
            self.jobs.rotate_left(1);
        }
    }

    fn finish(&mut self) {
        if let Some(job) = self.jobs.pop_front() {
            self.end(&job.request, false);
        }
    }

    fn end(&mut self, request: &RepairRequest, again: bool) {
        let input = Input::RepairEnd {
            series: request.place.series,
            from_id: request.missing.from_id,
            to_id: request.missing.to_id,
            again,
        };
        self.out.push_back((request.place.shard, input));
    }

    /// The next thing for a shard, by its number.
    pub fn poll_input(&mut self) -> Option<(usize, Input)> {
        self.out.pop_front()
    }
}

/// The first and the last id of a page that has these missing ids and one beside them on each side, so that void ones
/// show; never more than `rows_max`.
pub(crate) fn page_rows(lo: u64, hi: u64, rows_max: u32) -> u32 {
    let rows = hi.saturating_sub(lo).saturating_add(3);
    u32::try_from(rows).unwrap_or(u32::MAX).min(rows_max)
}

impl Page {
    /// Of this path, at this cost.
    #[must_use]
    pub fn new(path: String, tokens: u32) -> Self {
        Self { path, tokens }
    }
}

#[cfg(test)]
mod tests;
