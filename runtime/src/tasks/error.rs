//! How tasks end.

use std::error::Error;

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
