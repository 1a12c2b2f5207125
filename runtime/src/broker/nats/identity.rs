//! Whether the log is still the one that we may write to.
//!
//! A log may be removed and made anew, by another owner too, while our connection lives; the server tells nobody. What
//! stands between us and a log that is not ours is that a commit names the sequence of every checkpoint that it
//! replaces: logs begin at sequences of the time at which they are made, so that no two logs have one in common. That
//! leaves what was read from the other log, and a commit that replaces nothing. So the log is looked at after
//! checkpoints have been read, and before a commit that expects none.

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

/// Looks whether the log is ours and as it should be; if not, the bus has failed for good.
pub(super) async fn look(shared: &Shared, session: &Session) -> Result<(), Trouble> {
    let looked = streams::check_log(session, shared).await;
    if let Err(Trouble::Terminal(error)) = &looked
        && !link::may_pass(error)
    {
        shared.fail("streams", error.clone());
    }
    looked
}
