//! Task groups: nothing runs in the background without an owner, a name and a known end.
//!
//! A [`Tasks`](crate::tasks::Tasks) owns what it started. Each task says what its exit means for the rest ([`OnExit`](crate::tasks::OnExit));
//! a stop asks all of them ([`Shutdown`](crate::shutdown::Shutdown)), waits up to a deadline, then cuts what is left and says
//! which those were. Dropping the group asks everything in it to stop and cuts its tasks, so a group
//! inside a task of another group dies with that task. Nothing can cut a thread: whoever drops a
//! group with threads must see to it that they hear of it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use self::group::Group;
use crate::shutdown::Shutdown;

mod error;

mod group;

mod spawner;

#[cfg(test)]
mod tests;

pub use error::{Outcome, TaskError};
pub use spawner::Spawner;

/// What a task's exit means for its group, while nobody has asked the group to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExit {
    /// The task is meant to run until the stop: any exit, a success too, stops the group and is its
    /// error.
    StopAll,
    /// The task may finish its work: success is fine, an error or a panic stops the group.
    StopOnFailure,
    /// The others do better without it than not at all: a failure is logged, the group goes on.
    Log,
}

/// A group of tasks and threads with one owner.
#[derive(Debug)]
pub struct Tasks {
    spawner: Spawner,
}

impl Tasks {
    /// A group at the top of a process, and the request that stops it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> (Self, Shutdown) {
        let tasks = Self::of(Group::new(name.into(), Shutdown::new()));
        let shutdown = tasks.shutdown().clone();
        (tasks, shutdown)
    }

    /// A component's own group. `parent`'s request stops it, a failure in it stops only itself: its
    /// owner returns the error from [`Tasks::run_until_stopped`] and so hands it upwards.
    #[must_use]
    pub fn under(name: impl Into<String>, parent: &Shutdown) -> Self {
        Self::of(Group::new(name.into(), parent.child()))
    }

    fn of(group: Group) -> Self {
        Self {
            spawner: Spawner {
                group: Arc::new(group),
            },
        }
    }

    /// The request that stops this group.
    #[must_use]
    pub fn shutdown(&self) -> &Shutdown {
        self.spawner.shutdown()
    }

    /// A handle by which the group's own tasks start more tasks in it.
    #[must_use]
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// Starts a task that ends by itself when stopping is asked for. See [`Spawner::spawn`].
    pub fn spawn<F>(&self, name: impl Into<String>, on_exit: OnExit, task: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.spawner.spawn(name, on_exit, task);
    }

    /// Starts a task that is dropped when stopping is asked for. See [`Spawner::spawn_until_stop`].
    pub fn spawn_until_stop<F>(&self, name: impl Into<String>, on_exit: OnExit, task: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.spawner.spawn_until_stop(name, on_exit, task);
    }

    /// Starts a task that serves the others to their end. See [`Spawner::spawn_to_the_end`].
    pub fn spawn_to_the_end<F>(&self, name: impl Into<String>, on_exit: OnExit, task: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        self.spawner.spawn_to_the_end(name, on_exit, task);
    }

    /// Starts a thread. See [`Spawner::spawn_thread`].
    ///
    /// # Errors
    /// [`TaskError::Thread`] if the operating system refuses it.
    pub fn spawn_thread<F, O>(
        &self,
        name: impl Into<String>,
        on_exit: OnExit,
        run: F,
    ) -> Result<(), TaskError>
    where
        F: FnOnce() -> O + Send + 'static,
        O: Outcome,
    {
        self.spawner.spawn_thread(name, on_exit, run)
    }

    /// Waits until stopping is asked for (by the holder of a [`Shutdown`], or by a task's exit),
    /// lets everything end for up to `drain_max`, then cuts what is left.
    ///
    /// A task is cut at its next await. A thread cannot be cut: one that overruns is named and left
    /// to the end of the process.
    ///
    /// # Errors
    /// The first exit that stopped the group; else [`TaskError::Cut`] if the deadline passed.
    pub async fn run_until_stopped(self, drain_max: Duration) -> Result<(), TaskError> {
        let group = Arc::clone(&self.spawner.group);
        group.shutdown.requested().await;
        group.lock().closed = true;
        group.tracker.close();
        let drained = tokio::time::timeout(drain_max, group.tracker.wait()).await;
        let cut = if drained.is_err() {
            self.cut_rest(drain_max).await
        } else {
            None
        };
        group.cut.cancel();
        group.attendants.close();
        let _ = tokio::time::timeout(CUT_MAX, group.attendants.wait()).await;
        group.join_threads(cut.is_some());
        match (group.lock().failure.take(), cut) {
            (Some(failure), cut) => {
                if let Some(cut) = cut {
                    tracing::warn!(error = %cut, "cut while stopping for an earlier failure");
                }
                Err(failure)
            }
            (None, Some(cut)) => Err(cut),
            (None, None) => Ok(()),
        }
    }

    /// Cuts what runs after the deadline and says what that was.
    async fn cut_rest(&self, drain_max: Duration) -> Option<TaskError> {
        let group = &self.spawner.group;
        let tasks: Vec<String> = group.lock().running.values().cloned().collect();
        group.cut.cancel();
        // A dropped future may still take a moment on another worker, and a thread may never end;
        // a task that blocks its worker must not block the stop.
        let _ = tokio::time::timeout(CUT_MAX, group.tracker.wait()).await;
        if tasks.is_empty() {
            return None;
        }
        Some(TaskError::Cut {
            group: group.name.clone(),
            drain_ms: drain_max.as_millis(),
            tasks,
        })
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        let group = &self.spawner.group;
        group.lock().closed = true;
        group.shutdown.trigger();
        group.cut.cancel();
    }
}

/// How long a cut waits for the dropped futures to be gone. Dropping takes microseconds; the rest
/// of the second is for a loaded machine.
const CUT_MAX: Duration = Duration::from_secs(1);
