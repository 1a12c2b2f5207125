//! What is asked for of what is missing, and not answered yet.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::mpsc;

use super::core::Core;
use crate::repair::{RepairRequest, ToRepairer};
use crate::route::{Input, Place};
use crate::venue::InstrumentIndex;

/// How long an id may be missing before it is asked for: what is on its way by another connection comes in less.
const GRACE_MS: i64 = 300;

/// Where what is missing of a series is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) place: Place,
    /// Which of its source's instruments it is.
    pub(crate) instrument: InstrumentIndex,
    pub(crate) requests: mpsc::Sender<ToRepairer>,
}

/// The holes of one shard that are being filled.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    /// By series; none of one that cannot be asked for.
    asks: BTreeMap<u32, Ask>,
    /// How many requests of a series are not answered.
    waiting: BTreeMap<u32, usize>,
    /// Released, and not told yet: as many as there were series at most.
    released: VecDeque<Ask>,
}

impl Repairs {
    /// Further series that can be asked for.
    pub(super) fn handle_asks(&mut self, asks: Vec<Ask>) {
        self.asks
            .extend(asks.into_iter().map(|ask| (ask.place.series, ask)));
    }

    /// The series is carried no more. Who fills its holes drops them, and ends when nobody is left to ask.
    pub(super) fn handle_released(&mut self, series: u32) {
        self.waiting.remove(&series);
        self.released.extend(self.asks.remove(&series));
        self.tell_released();
    }

    /// Says what is released, as far as there is room for it now.
    pub(super) fn tell_released(&mut self) {
        self.released.retain(|ask| {
            let told = ask.requests.try_send(ToRepairer::Released(ask.place));
            matches!(told, Err(mpsc::error::TrySendError::Full(_)))
        });
    }

    /// Asks for what is missing. Where there is no room for a request, it is asked for again later.
    pub(super) fn ask(&mut self, core: &mut Core, now_ms: u64) {
        self.tell_released();
        if self.asks.is_empty() {
            return;
        }
        let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let mut missing = Vec::new();
        core.poll_missing(now_ms, GRACE_MS, &mut missing);
        for (series, missing) in missing {
            let number = u32::try_from(series).unwrap_or(u32::MAX);
            let Some(ask) = self.asks.get(&number) else {
                continue;
            };
            let request = RepairRequest {
                instrument: ask.instrument,
                place: ask.place,
                missing,
            };
            if ask.requests.try_send(ToRepairer::Fill(request)).is_ok() {
                *self.waiting.entry(number).or_default() += 1;
            } else {
                core.handle_missing_again(series, &missing);
            }
        }
    }

    /// One request has been answered, as far as it could be.
    pub(super) fn handle_input(&mut self, input: &Input) {
        if let Input::RepairEnd { series, .. } = input
            && let Some(count) = self.waiting.get_mut(series)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.waiting.remove(series);
            }
        }
    }

    /// Whether something of the series is asked for just now.
    pub(super) fn is_waiting(&self, series: u32) -> bool {
        self.waiting.contains_key(&series)
    }
}
