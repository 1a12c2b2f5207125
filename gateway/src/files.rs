//! Room in the table of open files: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that a gateway has open beside its WebSockets: HTTP connections on their way, listeners, epolls, logs, a
/// store. Handshakes beyond it fail to be accepted and are tried again.
const OTHER_FILES: u64 = 256;

/// Raises the soft limit of open files to the hard one and says how many connections fit: `wanted`, or fewer, which is
/// logged. Many systems start a process with 1,024 only for the sake of programs that use `select`.
pub(crate) fn make_room(wanted: usize) -> usize {
    let limit = raise();
    let fit = fit(wanted, limit);
    if fit < wanted {
        tracing::warn!(
            wanted,
            fit,
            limit,
            "the limit of open files allows fewer connections than configured"
        );
    }
    fit
}

/// The limit after the attempt; `None` if there is none.
fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            current
        }
    }
}

fn fit(wanted: usize, limit: Option<u64>) -> usize {
    let room = limit.map_or(u64::MAX, |limit| limit.saturating_sub(OTHER_FILES).max(1));
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_below_the_limit() {
        let check =
            |wanted, limit, expect| assert_eq!(fit(wanted, limit), expect, "{wanted} {limit:?}");
        check(15_000, None, 15_000);
        check(15_000, Some(1 << 20), 15_000);
        check(15_000, Some(1_024), 768);
        check(100, Some(1_024), 100);
        check(100, Some(10), 1);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let hard = getrlimit(Resource::Nofile).maximum;
        assert_eq!(raise(), hard);
        assert_eq!(getrlimit(Resource::Nofile).current, hard);
    }
}
