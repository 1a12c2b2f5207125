//! Starting tasks and threads in a group.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::group::Group;
use super::{OnExit, Outcome, TaskError};
use crate::shutdown::Shutdown;

/// Starts tasks in a group that somebody else owns.
#[derive(Debug, Clone)]
pub struct Spawner {
    pub(super) group: Arc<Group>,
}

impl Spawner {
    /// The request that stops the group.
    #[must_use]
    pub fn shutdown(&self) -> &Shutdown {
        &self.group.shutdown
    }

    /// Starts a task that watches the group's [`Shutdown`] and ends by itself when asked; one that
    /// does not is cut at the deadline. A group that is stopping takes no new task: it is dropped
    /// unrun.
    pub fn spawn<F>(&self, name: impl Into<String>, on_exit: OnExit, task: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        if let Some(entry) = self.group.enter(name.into(), on_exit) {
            entry.spawn_on(&self.group.tracker, task);
        }
    }

    /// Starts a task that has nothing to finish: when stopping is asked for, it is dropped at its
    /// next await.
    pub fn spawn_until_stop<F>(&self, name: impl Into<String>, on_exit: OnExit, task: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        let shutdown = self.group.shutdown.clone();
        self.spawn(name, on_exit, async move {
            tokio::select! {
                () = shutdown.requested() => Ok(()),
                exit = task => exit.into_result(),
            }
        });
    }

    /// Starts a task that a stop neither asks nor waits for: it goes on through the drain and is
    /// dropped when everything else has ended (the admin server, which shows the drain).
    pub fn spawn_to_the_end<F>(&self, name: impl Into<String>, on_exit: OnExit, task: F)
    where
        F: Future<Output: Outcome> + Send + 'static,
    {
        if let Some(entry) = self.group.enter(name.into(), on_exit) {
            self.group.lock().running.remove(&entry.id);
            entry.spawn_on(&self.group.attendants, task);
        }
    }

    /// Starts a named thread that is joined at the stop. It must watch the group's [`Shutdown`]:
    /// nothing can cut a thread.
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
        let name = name.into();
        let Some(entry) = self.group.enter(name.clone(), on_exit) else {
            return Ok(());
        };
        let token = self.group.tracker.token();
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || {
                let exit = catch_unwind(AssertUnwindSafe(run));
                entry.exited(exit.map(Outcome::into_result));
                drop(entry);
                drop(token);
            })
            .map_err(|source| TaskError::Thread {
                group: self.group.name.clone(),
                task: name,
                source,
            })?;
        self.group.lock().threads.push(thread);
        Ok(())
    }
}
