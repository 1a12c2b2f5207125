//! Task groups: nothing runs in the background without an owner, a name and a known end.
//!
//! A [`Tasks`] owns what it started. Each task says what its exit means for the rest ([`OnExit`]);
//! a stop asks all of them ([`Shutdown`]), waits up to a deadline, then cuts what is left and says
//! which those were. Dropping the group cuts everything in it, so a group inside a task of another
//! group dies with that task.

use std::any::Any;
use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::shutdown::Shutdown;

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

/// Why a group stopped other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A task that should run until the stop returned before it.
    #[error("{group}/{task} ended before it was asked to")]
    EndedEarly {
        /// The group's name.
        group: String,
        /// The task's name.
        task: String,
    },
    /// A task returned an error.
    #[error("{group}/{task} failed: {source}")]
    Failed {
        /// The group's name.
        group: String,
        /// The task's name.
        task: String,
        /// What the task returned.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A task panicked.
    #[error("{group}/{task} panicked: {message}")]
    Panicked {
        /// The group's name.
        group: String,
        /// The task's name.
        task: String,
        /// The panic's message.
        message: String,
    },
    /// The drain deadline passed with tasks still running; they were cut.
    #[error("{group} did not stop within {drain_ms} ms, cut: {}", tasks.join(", "))]
    Cut {
        /// The group's name.
        group: String,
        /// The deadline, in milliseconds.
        drain_ms: u128,
        /// The names of the tasks that were cut, in the order in which they were started.
        tasks: Vec<String>,
    },
    /// The operating system refused a thread.
    #[error("{group}/{task}: cannot start a thread: {source}")]
    Thread {
        /// The group's name.
        group: String,
        /// The thread's name.
        task: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The handlers of SIGINT and SIGTERM could not be installed.
    #[error("cannot listen for SIGINT and SIGTERM: {0}")]
    Signals(#[source] std::io::Error),
}

/// What a task may return: nothing, or a `Result<(), E>`.
pub trait Outcome {
    /// The error, if it is one.
    ///
    /// # Errors
    /// Whatever the task returned as its error.
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.map_err(Into::into)
    }
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
        let shutdown = Shutdown::new();
        let tasks = Self::under(name, &shutdown);
        (tasks, shutdown)
    }

    /// A component's own group. `parent`'s request stops it, a failure in it stops only itself: its
    /// owner returns the error from [`Tasks::run_until_stopped`] and so hands it upwards.
    #[must_use]
    pub fn under(name: impl Into<String>, parent: &Shutdown) -> Self {
        let group = Group {
            name: name.into(),
            shutdown: parent.child(),
            cut: CancellationToken::new(),
            tracker: TaskTracker::new(),
            attendants: TaskTracker::new(),
            state: Mutex::default(),
        };
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

/// Starts tasks in a group that somebody else owns.
#[derive(Debug, Clone)]
pub struct Spawner {
    group: Arc<Group>,
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

/// What the owner, the spawners and the running tasks share.
#[derive(Debug)]
struct Group {
    name: String,
    shutdown: Shutdown,
    /// Cancelled when the rest is to be dropped.
    cut: CancellationToken,
    /// What a stop waits for.
    tracker: TaskTracker,
    /// What runs until nothing else does.
    attendants: TaskTracker,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Set when the stop begins; nothing is started after it.
    closed: bool,
    next_id: u64,
    /// Names by start order; an entry leaves when its task ends.
    running: BTreeMap<u64, String>,
    /// The first exit that stopped the group.
    failure: Option<TaskError>,
    threads: Vec<JoinHandle<()>>,
}

impl Group {
    /// No lock holder panics while it holds the state half changed, so a poisoned one is still
    /// sound.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, name: String, on_exit: OnExit) -> Option<Entry> {
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
    fn join_threads(&self, cut: bool) {
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
struct Entry {
    group: Arc<Group>,
    id: u64,
    name: String,
    on_exit: OnExit,
}

type Exit = Result<Result<(), Box<dyn Error + Send + Sync>>, Box<dyn Any + Send>>;

impl Entry {
    /// Runs the task until its end, its panic or the cut.
    fn spawn_on<F>(self, tracker: &TaskTracker, task: F)
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

    fn exited(&self, exit: Exit) {
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
