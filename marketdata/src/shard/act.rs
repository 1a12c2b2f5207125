//! What a shard does about what its owner tells and the bus answers.

use std::time::Duration;

use runtime::broker::{BarMessage, Commit, CommitError};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::{Bar, Instrument};

use super::ops::Answer;
use super::{Shard, wall_ms};
use crate::carrier::Control;
use crate::owner::{self, Assigned, Batch, Block, Checkpoint, Event, Level};
use crate::publish::Numbers;

/// After so long a move is late: a shard takes its instruments within some seconds.
const LEAVING_MAX: Duration = Duration::from_secs(10);

impl Shard {
    pub(super) fn act_on_events(&mut self) {
        let now_ms = self.now_ms();
        while let Some(event) = self.owner.poll_event(now_ms) {
            self.handle_event(event);
        }
    }

    fn handle_event(&mut self, event: Event) {
        let shard = self.context.shard;
        match event {
            Event::Granted(claim) => tracing::info!(%shard, claim, "the shard's lease is ours"),
            Event::SteppedDown => {
                tracing::info!(%shard, "the shard has another owner: standing by");
            }
            Event::Restore {
                instrument,
                checkpoint,
            } => self.restore(&instrument, &checkpoint),
            Event::Taken {
                instrument,
                checkpoint,
                restores,
            } => {
                tracing::debug!(%shard, %instrument, restores, "taken");
                if restores {
                    self.restore(&instrument, &checkpoint);
                } else {
                    self.adopt(&instrument, &checkpoint);
                }
                self.core.handle_republish();
            }
            // Its feed and its series were made when the assignment came.
            Event::Gained { .. } => {}
            Event::Fenced { instrument } => {
                tracing::info!(%shard, %instrument, "its checkpoint is not ours any more: taken by another, or the log was made anew");
            }
            // For a moment, after a lease was given back or an assignment came.
            Event::Blocked { instrument, block } if block == Block::Behind => {
                tracing::debug!(%shard, %instrument, reason = block.as_str(), "not taken");
            }
            Event::Blocked { instrument, block } => {
                tracing::warn!(%shard, %instrument, reason = block.as_str(), "not taken");
            }
            Event::Committed(batch) => self.handle_committed(&batch),
            Event::Released { instrument } => {
                if let Some((at, series)) = self.core.handle_released(&instrument) {
                    self.repairs.handle_released(series);
                    self.context.carriage.handle_dropped(at);
                    tracing::info!(%shard, %instrument, "released");
                    self.levels.remove(&instrument);
                    self.dropped.push_back(instrument);
                }
            }
        }
    }

    /// The engine goes on from the checkpoint, as if the feed had been down since.
    fn restore(&mut self, instrument: &Instrument, checkpoint: &Checkpoint) {
        let shard = self.context.shard;
        match self
            .core
            .handle_restore(instrument, checkpoint.series.as_ref())
        {
            Ok(()) => tracing::debug!(%shard, %instrument, "going on from the checkpoint"),
            Err(error) => {
                tracing::warn!(%shard, %instrument, %error, "a checkpoint's state cannot be read");
            }
        }
        self.tell_filling(instrument);
    }

    /// The engine goes on from its own state, with closed bars as they were committed.
    fn adopt(&mut self, instrument: &Instrument, checkpoint: &Checkpoint) {
        let shard = self.context.shard;
        let Some(state) = &checkpoint.series else {
            return; // No bar is closed yet.
        };
        match self.core.handle_taken(instrument, state) {
            Ok(true) => {}
            Ok(false) => {
                tracing::info!(%shard, %instrument, "the owner before had trades that we lack: going on from its checkpoint");
                self.owner.handle_restored(instrument);
                self.tell_filling(instrument);
            }
            Err(error) => {
                tracing::warn!(%shard, %instrument, %error, "a checkpoint's state cannot be read");
            }
        }
    }

    fn handle_committed(&mut self, batch: &Batch) {
        let now_ms = wall_ms();
        let metrics = &self.context.metrics;
        for part in &batch.parts {
            for close in &part.closes {
                metrics.closes_committed.inc();
                let bar = &close.close;
                let end_ms = bar.start_ms + bar.interval.ms();
                let delay_ms = u64::try_from(now_ms - end_ms).unwrap_or(0);
                let sampled = &mut self.sampled;
                let trace = sampled.take_committed(&part.instrument, bar.interval, bar.start_ms);
                metrics.observe_close(Duration::from_millis(delay_ms), trace);
            }
        }
    }

    pub(super) fn handle_answer(&mut self, answer: Answer) -> Result<(), CommitError> {
        let now_ms = self.now_ms();
        match answer {
            Answer::Lease(answer) => self.owner.handle_lease(now_ms, answer),
            Answer::Checkpoints(ticket, stored) => {
                let newest = owner::newest_generation(stored.iter().flatten().flatten());
                if let Some(newest) = newest {
                    self.context.options.in_log.handle_generation(newest);
                }
                self.owner.handle_checkpoints(now_ms, ticket, stored);
            }
            Answer::Commit(ticket, outcome, why) => {
                let outcome = outcome?;
                self.tell_commit(&outcome, why.as_deref().unwrap_or_default());
                self.owner.handle_commit(now_ms, ticket, outcome);
            }
        }
        Ok(())
    }

    fn tell_commit(&mut self, outcome: &owner::CommitOutcome, error: &str) {
        let (now, shard) = (Instant::now(), self.context.shard);
        let waiting = self.owner.ledger().pending_len();
        if let owner::CommitOutcome::Committed(_) = outcome {
            if let Some(after) = self.commits.tell_works(now) {
                let after_ms = after.as_millis();
                tracing::info!(%shard, after_ms, waiting, "closes are committed again");
            }
            return;
        }
        self.context.metrics.publish_failed.inc();
        if let Some(count) = self.commits.tell_failed(now) {
            tracing::warn!(%shard, count, error, waiting, "closes not committed");
        }
    }

    /// Instruments that go to another shard stay with us until one of its processes takes them. Where there is none they
    /// have no standby here any more.
    pub(super) fn tell_leaving(&mut self, leaving: usize) {
        let now = Instant::now();
        match leaving {
            0 => self.leaving = None,
            _ => {
                let (since, is_told) = self.leaving.get_or_insert((now, false));
                if !*is_told && now - *since >= LEAVING_MAX {
                    *is_told = true;
                    tracing::warn!(
                        shard = %self.context.shard, leaving,
                        "instruments that another shard is to take are here still: does a process of that shard run?"
                    );
                }
            }
        }
    }

    pub(super) fn handle_control(&mut self, control: Control) {
        let Control {
            change,
            asks,
            taken,
        } = control;
        self.repairs.handle_asks(asks);
        for (series, listed) in change.renamed {
            self.core.handle_renamed(series, listed);
        }
        self.core.handle_gained(change.gained);
        let assigned = Assigned {
            generation: change.generation,
            mine: change.mine,
            others: change.others,
        };
        let now_ms = self.now_ms();
        if let Err(error) = self.owner.handle_assignment(now_ms, &assigned) {
            tracing::warn!(shard = %self.context.shard, %error, "assignment not taken");
        }
        // Whoever waits for it has gone when it is not told.
        let _ = taken.send(());
    }

    pub(super) fn commit(&self, batch: &Batch) -> Commit {
        let scope = &self.context.options.scope;
        let publish_time_ms = wall_ms();
        let mut commit = Commit::default();
        for part in &batch.parts {
            for numbered in &part.closes {
                let numbers = Numbers {
                    epoch: part.checkpoint.epoch,
                    close_no: numbered.close_no,
                    publish_time_ms,
                };
                let bar = self.core.close(&part.instrument, &numbered.close, &numbers);
                let trace = |bar: &Bar| {
                    self.sampled
                        .of_close(&bar.instrument, bar.interval, bar.start_ms)
                };
                commit.closes.extend(bar.map(|bar| {
                    let trace = trace(&bar);
                    BarMessage::new(scope, bar).with_trace(trace)
                }));
            }
        }
        let write = |part: &owner::Part| {
            self.ops
                .write(&part.instrument, part.expect, &part.checkpoint)
        };
        commit.checkpoints = batch.parts.iter().map(write).collect();
        commit
    }

    pub(super) fn tell_dropped(&mut self) {
        while let Some(instrument) = self.dropped.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(instrument)) =
                self.context.dropped.try_send(instrument)
            {
                self.dropped.push_front(instrument);
                return;
            }
        }
    }

    pub(super) fn tell_level(&mut self, instrument: &Instrument, level: Level) {
        let before = self.levels.get(instrument).copied().unwrap_or_default();
        if before != level {
            self.levels.insert(instrument.clone(), level);
            let now_ms = self.now_ms();
            self.owner.handle_level(now_ms, instrument, level);
        }
    }

    /// The engine goes on from a checkpoint: what was missed since is fetched before the instrument is whole again.
    fn tell_filling(&mut self, instrument: &Instrument) {
        if self.levels.get(instrument) == Some(&Level::Whole) {
            self.tell_level(instrument, Level::Filling);
        }
    }
}
