//! The file of the assignment, read again and again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use runtime::shutdown::Shutdown;
use runtime::tasks::TaskError;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use wire::assignment::{Difference, FILE_LEN_MAX};
use wire::{Assignment, Instrument, ShardId};

use super::{InLog, Judge, Reason, Refusal, Verdict, known, names};
use crate::metrics::Count;
use crate::repair::RestBudgets;

/// How often the file is looked at. It is read whole each time: notices of the file system miss what is mounted from
/// elsewhere and the swapped links of a ConfigMap, and times of change are too coarse to tell two writes apart.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often the venues are asked again for symbols that they had not: a listing that is announced comes in time.
pub const ASK_AGAIN_EVERY: Duration = Duration::from_secs(60);

/// Reads the assignment from its file whenever that changes. Run it as a task; what it takes comes by the receiver.
#[derive(Debug)]
pub struct AssignmentFile {
    path: PathBuf,
    judge: Judge,
    taken: watch::Sender<Option<Arc<Assignment>>>,
    metrics: AssignmentMetrics,
    /// Which shard this process is to serve: a number that is not there is told.
    shard: ShardId,
    budgets: RestBudgets,
    in_log: InLog,
    /// What the file says, if its venues deny some of it.
    denied: Option<Refused>,
}

/// A usable assignment that was refused for what its venues say.
#[derive(Debug)]
struct Refused {
    assignment: Arc<Assignment>,
    difference: Difference,
    /// Those that its venues deny.
    refusal: Refusal,
    /// When they are asked again, though the file says nothing new.
    again_at: Instant,
}

/// What is counted of the file. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct AssignmentMetrics {
    refused: Family<RefusedLabel, Count>,
    generation: Gauge<u64, AtomicU64>,
    unknown: Count,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabel {
    reason: &'static str,
}

impl AssignmentMetrics {
    /// Registers them.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "assignment_refused",
            "Contents of the assignment's file that were not taken, each once, by reason",
            metrics.refused.clone(),
        );
        registry.register(
            "assignment_generation",
            "The generation in force; 0 before the first",
            metrics.generation.clone(),
        );
        registry.register(
            "assignment_unknown_symbols",
            "Symbols that were taken although their venues had denied them",
            metrics.unknown.clone(),
        );
        metrics
    }

    fn refused(&self, reason: Reason) -> Count {
        let reason = reason.as_str();
        self.refused.get_or_create_owned(&RefusedLabel { reason })
    }
}

impl AssignmentFile {
    /// Watches the file, which need not be there yet. The receiver has `None` until the first assignment is taken:
    /// until then a process is not ready. After that it only ever gets newer ones that can be used. Venues are asked
    /// for new symbols out of these budgets. What they deny is refused, unless nothing is in force or the log shows that
    /// it is in force elsewhere.
    #[must_use]
    pub fn new(
        path: PathBuf,
        metrics: AssignmentMetrics,
        shard: ShardId,
        budgets: RestBudgets,
        in_log: InLog,
    ) -> (Self, watch::Receiver<Option<Arc<Assignment>>>) {
        let (taken, receiver) = watch::channel(None);
        let file = Self {
            path,
            judge: Judge::new(),
            taken,
            metrics,
            shard,
            budgets,
            in_log,
            denied: None,
        };
        (file, receiver)
    }

    /// Looks at the file at once and then every [`LOOK_EVERY`], until asked to stop. A refused or missing file is no
    /// error: what was in force stays so.
    ///
    /// # Errors
    /// Never; the type is that of a task's outcome.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), TaskError> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let look = async {
                let now = looks.tick().await;
                self.look(now).await;
            };
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                () = look => {}
            }
        }
    }

    /// Reads the file once and hands over what is to be taken.
    async fn look(&mut self, now: Instant) {
        if self.denied.as_ref().is_some_and(|it| now >= it.again_at) {
            self.judge.handle_again();
        }
        let verdict = match read(&self.path).await {
            Ok(bytes) => self.judge.handle_bytes(&bytes),
            Err(error) => self.judge.handle_unreadable(&error.to_string()),
        };
        match verdict {
            Verdict::Same => {
                self.take_what_is_in_the_log();
            }
            Verdict::Usable(assignment, difference) => self.ask(now, assignment, difference).await,
            Verdict::Refused(refusal) => {
                self.denied = None;
                self.tell(&refusal);
            }
        }
    }

    /// Asks the venues whether they have what is new.
    async fn ask(&mut self, now: Instant, assignment: Arc<Assignment>, difference: Difference) {
        let before = self.denied.take();
        let added = difference.added.iter().map(|(it, _)| it.clone());
        let added: Vec<Instrument> = added.collect();
        if self.judge.in_force().is_none() {
            // It is better than nothing, so that it waits for no answer either.
            self.judge.handle_taken(Arc::clone(&assignment));
            self.take(Arc::clone(&assignment), &difference);
            let said = known::ask(&assignment, &added, &self.budgets).await;
            self.tell_unknown(&said.lacks);
            return;
        }
        let said = known::ask(&assignment, &added, &self.budgets).await;
        let Err(refusal) = self.judge.handle_asked(&assignment, &added, &said) else {
            self.take(assignment, &difference);
            return;
        };
        let is_told = before.is_some_and(|before| {
            before.refusal == refusal && before.assignment.generation() == assignment.generation()
        });
        self.denied = Some(Refused {
            assignment,
            difference,
            refusal: refusal.clone(),
            again_at: now + ASK_AGAIN_EVERY,
        });
        // Told once, however often they are asked.
        if !self.take_what_is_in_the_log() && !is_told {
            self.tell(&refusal);
        }
    }

    /// Takes what was refused for its symbols once the log shows it: to refuse it further would only keep this process
    /// from what others have taken, whose checkpoints it may not replace. Gives whether it did.
    fn take_what_is_in_the_log(&mut self) -> bool {
        let newest = self.in_log.newest();
        let is_there = |it: &mut Refused| newest >= it.assignment.generation();
        let Some(refused) = self.denied.take_if(is_there) else {
            return false;
        };
        tracing::warn!(
            path = %self.path.display(), in_log = newest, error = %refused.refusal,
            "assignment taken after all: another process of this feed has it in force"
        );
        if let Refusal::UnknownSymbols(unknown) = &refused.refusal {
            self.count_unknown(unknown);
        }
        self.judge.handle_taken(Arc::clone(&refused.assignment));
        self.take(refused.assignment, &refused.difference);
        true
    }

    fn tell_unknown(&self, unknown: &[Instrument]) {
        if unknown.is_empty() {
            return;
        }
        self.count_unknown(unknown);
        tracing::warn!(
            path = %self.path.display(), unknown = unknown.len(), symbols = names(unknown),
            "the first assignment is taken as it is; its venues have not some of its symbols"
        );
    }

    fn count_unknown(&self, unknown: &[Instrument]) {
        let count = u64::try_from(unknown.len()).unwrap_or(u64::MAX);
        self.metrics.unknown.inc_by(count);
    }

    fn take(&self, assignment: Arc<Assignment>, difference: &Difference) {
        tracing::info!(
            path = %self.path.display(),
            generation = assignment.generation(),
            shards = assignment.shards(),
            moved = difference.moved.len(),
            added = difference.added.len(),
            removed = difference.removed.len(),
            "assignment taken"
        );
        let shards = assignment.shards();
        if self.shard.0 >= shards.get() {
            tracing::warn!(
                shard = %self.shard, shards,
                "the assignment has no such shard, they are numbered from 0: this process carries nothing"
            );
        }
        self.metrics.generation.set(assignment.generation());
        self.taken.send_replace(Some(assignment));
    }

    fn tell(&self, refusal: &Refusal) {
        self.metrics.refused(refusal.reason()).inc();
        let in_force = self.judge.in_force().map(|in_force| in_force.generation());
        let path = self.path.display();
        match in_force {
            Some(generation) => tracing::warn!(
                %path, reason = refusal.reason().as_str(), error = %refusal, generation,
                "assignment refused; the one before stays in force"
            ),
            None => tracing::warn!(
                %path, reason = refusal.reason().as_str(), error = %refusal,
                "no assignment yet; waiting for one"
            ),
        }
    }
}

/// The file's bytes, one more than may be at most.
async fn read(path: &Path) -> io::Result<Vec<u8>> {
    // To open a pipe would wait for its writer.
    if !tokio::fs::metadata(path).await?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    let len_max = u64::try_from(FILE_LEN_MAX).unwrap_or(u64::MAX);
    let file = File::open(path).await?;
    file.take(len_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
