//! Whether the log is still the one that we may write to.
//!
//! A log may be removed and made anew, by another owner too, while our connection lives; the server tells nobody. What
//! stands between us and a log that is not ours is that a commit names the sequence of every checkpoint that it
//! replaces: logs that we make begin at sequences of the time of their making, so that no two of them have one in common
//! unless a clock went back between them. That leaves logs that others make, what was read from another log, and a commit
//! that replaces nothing. So the log is looked at after checkpoints have been read, and before a commit or a lease that
//! expects none.
//!
//! Only whose it is matters here. Its settings are compared when a process starts; who changes them later, to three
//! replicas or more closes a topic, ends nobody by that.

use super::error::Trouble;
use super::link;
use super::session::Session;
use super::shared::Shared;
use super::streams;
use crate::broker::Commit;

/// Whether nothing but a look at the log can tell that the commit goes to the right one.
pub(super) fn is_asked_for(commit: &Commit) -> bool {
    commit.checkpoints.iter().any(|write| write.expect == 0)
}

/// Looks whether the log is ours; if not, the bus has failed for good. What may pass is transient.
pub(super) async fn look(shared: &Shared, session: &Session) -> Result<(), Trouble> {
    match streams::check_whose(session, shared).await {
        Err(Trouble::Terminal(error)) if link::may_pass(&error) => {
            Err(Trouble::Transient(error.to_string()))
        }
        Err(Trouble::Terminal(error)) => {
            shared.fail("streams", error.clone());
            Err(error.into())
        }
        looked => looked,
    }
}
