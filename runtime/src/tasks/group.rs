//! What a group's owner, its spawners and its tasks share.

use std::any::Any;
use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{OnExit, Outcome, TaskError};
use crate::shutdown::Shutdown;

/// What the owner, the spawners and the running tasks share.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) shutdown: Shutdown,
    /// Cancelled when the rest is to be dropped.
    pub(super) cut: CancellationToken,
    /// What a stop waits for.
    pub(super) tracker: TaskTracker,
    /// What runs until nothing else does.
    pub(super) attendants: TaskTracker,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Set when the stop begins; nothing is started after it.
    pub(super) closed: bool,
    next_id: u64,
    /// Names by start order; an entry leaves when its task ends.
    pub(super) running: BTreeMap<u64, String>,
    /// The first exit that stopped the group.
    pub(super) failure: Option<TaskError>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

impl Group {
    pub(super) fn new(name: String, shutdown: Shutdown) -> Self {
        Self {
            name,
            shutdown,
            cut: CancellationToken::new(),
            tracker: TaskTracker::new(),
            attendants: TaskTracker::new(),
            state: Mutex::default(),
        }
    }

    /// No lock holder panics while it holds the state half changed, so a poisoned one is still
    /// sound.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(self: &Arc<Self>, name: String, on_exit: OnExit) -> Option<Entry> {
        let mut state = self.lock();
        if state.closed {
            tracing::debug!(group = self.name, task = name, "not started: stopping");
            return None;
        }
        // Ended threads are joined as new ones come, so that the list is as long as what runs.
        state.threads.retain(|thread| !thread.is_finished());
        let id = state.next_id;
        state.next_id += 1;
        state.running.insert(id, name.clone());
        drop(state);
        Some(Entry {
            group: Arc::clone(self),
            id,
            name,
            on_exit,
        })
    }

    /// Joins the threads. `cut` says that some may still run; those are left.
    pub(super) fn join_threads(&self, cut: bool) {
        let threads = std::mem::take(&mut self.lock().threads);
        for thread in threads {
            // Nothing was cut: the tracker saw every thread's work end, so a join waits only for
            // the last few instructions.
            if !cut || thread.is_finished() {
                // A panic was caught and kept inside.
                let _ = thread.join();
            }
        }
    }
}

/// One running task's place in its group; leaving is dropping it.
#[derive(Debug)]
pub(super) struct Entry {
    group: Arc<Group>,
    pub(super) id: u64,
    name: String,
    on_exit: OnExit,
}

pub(super) type Exit = Result<Result<(), Box<dyn Error + Send + Sync>>, Box<dyn Any + Send>>;

impl Entry {
    /// Runs the task until its end, its panic or the cut.
    pub(super) fn spawn_on<F>(self, tracker: &TaskTracker, task: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        tracker.spawn(async move {
            let caught = AssertUnwindSafe(task).catch_unwind();
            tokio::select! {
                biased;
                () = self.group.cut.cancelled() => {}
                exit = caught => self.exited(exit.map(Outcome::into_result)),
            }
        });
    }

    pub(super) fn exited(&self, exit: Exit) {
        let group = self.group.name.clone();
        let task = self.name.clone();
        let stopping = self.group.shutdown.is_requested();
        let failure = match exit {
            Ok(Ok(())) if stopping || self.on_exit != OnExit::StopAll => return,
            Ok(Ok(())) => TaskError::EndedEarly { group, task },
            Ok(Err(source)) => TaskError::Failed {
                group,
                task,
                source,
            },
            Err(panic) => TaskError::Panicked {
                group,
                task,
                message: panic_message(panic.as_ref()),
            },
        };
        if self.on_exit == OnExit::Log {
            tracing::warn!(error = %failure, "a task failed, the others go on");
            return;
        }
        tracing::error!(error = %failure, "stopping");
        self.group.lock().failure.get_or_insert(failure);
        self.group.shutdown.trigger();
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.group.lock().running.remove(&self.id);
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
