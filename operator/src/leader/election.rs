// Pure: when the Lease is whose. No clock of another machine is believed: a Lease has run out when it has stood still for its
// duration before our own eyes.
#![deny(clippy::disallowed_methods)]

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;

/// How long a Lease that is not renewed stays with who holds it, in seconds.
const DURATION_S: i32 = 15;

/// How long who holds it goes on without having renewed it, in milliseconds: it stops well before others take it, also where
/// clocks do not run alike.
const HELD_MAX_MS: u64 = 10_000;

/// One candidate.
#[derive(Debug, Clone)]
pub struct Election {
    name: String,
    me: String,
    /// What was seen last of somebody else's, and since when it is so.
    seen: Option<(LeaseSpec, u64)>,
    /// What we hold, and when the request for it was sent.
    held: Option<(Lease, u64)>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// There is none: make it.
    Create(Lease),
    /// Take or renew it, if it is still as it was read.
    Replace(Lease),
    /// It is another's.
    Wait,
}

impl Election {
    /// For the Lease of that name; `me` is a name that no other candidate has.
    #[must_use]
    pub fn new(name: String, me: String) -> Self {
        Self {
            name,
            me,
            seen: None,
            held: None,
        }
    }

    /// The Lease's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// It was read, at `now_ms` of any clock of ours that runs evenly; `wall` is written into it for people.
    pub fn poll(&mut self, found: Option<&Lease>, now_ms: u64, wall: Timestamp) -> Step {
        let Some(lease) = found else {
            let metadata = ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            };
            let lease = Lease {
                metadata,
                spec: Some(self.spec(&LeaseSpec::default(), wall)),
            };
            return Step::Create(lease);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if holder != self.me && !holder.is_empty() && !self.has_run_out(&spec, now_ms) {
            return Step::Wait;
        }
        Step::Replace(Lease {
            metadata: lease.metadata.clone(),
            spec: Some(self.spec(&spec, wall)),
        })
    }

    /// It is ours, by a request that was sent at that time.
    pub fn handle_held(&mut self, lease: Lease, sent_ms: u64) {
        self.seen = None;
        self.held = Some((lease, sent_ms));
    }

    /// Whether we may go on.
    #[must_use]
    pub fn is_held(&self, now_ms: u64) -> bool {
        self.held_until_ms().is_some_and(|until| now_ms < until)
    }

    /// Until when we may, if it is not renewed; `None` where it was never ours.
    #[must_use]
    pub fn held_until_ms(&self) -> Option<u64> {
        let (_, sent_ms) = self.held.as_ref()?;
        Some(sent_ms.saturating_add(HELD_MAX_MS))
    }

    /// The Lease without a holder, if it is ours.
    #[must_use]
    pub fn given_up(&self, now_ms: u64) -> Option<Lease> {
        let (lease, _) = self.held.as_ref().filter(|_| self.is_held(now_ms))?;
        let mut lease = lease.clone();
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        Some(lease)
    }

    /// Whether it has stood still for long enough: what else there is of the object may change.
    fn has_run_out(&mut self, spec: &LeaseSpec, now_ms: u64) -> bool {
        match &self.seen {
            Some((seen, since_ms)) if seen == spec => {
                let duration = spec.lease_duration_seconds.unwrap_or(DURATION_S);
                let duration_s = u64::try_from(duration).unwrap_or(0);
                now_ms.saturating_sub(*since_ms) >= duration_s.saturating_mul(1_000)
            }
            _ => {
                self.seen = Some((spec.clone(), now_ms));
                false
            }
        }
    }

    fn spec(&self, before: &LeaseSpec, wall: Timestamp) -> LeaseSpec {
        let is_ours = before.holder_identity.as_deref() == Some(&self.me);
        let now = Some(MicroTime(wall));
        LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: Some(DURATION_S),
            acquire_time: if is_ours {
                before.acquire_time.clone()
            } else {
                now.clone()
            },
            renew_time: now,
            lease_transitions: Some(
                before
                    .lease_transitions
                    .unwrap_or(0)
                    .saturating_add(i32::from(!is_ours)),
            ),
            ..LeaseSpec::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An API server that holds one Lease, and gives each change another version.
    #[derive(Default)]
    struct Server {
        lease: Option<Lease>,
        version: u64,
    }

    impl Server {
        /// One look of a candidate, and whether it has the Lease then.
        fn look(&mut self, candidate: &mut Election, now_ms: u64) -> bool {
            let wall = Timestamp::from_millisecond(i64::try_from(now_ms).unwrap()).unwrap();
            let step = candidate.poll(self.lease.as_ref(), now_ms, wall);
            match step {
                Step::Wait => return false,
                Step::Create(lease) | Step::Replace(lease) => self.put(lease),
            }
            candidate.handle_held(self.lease.clone().unwrap(), now_ms);
            true
        }

        fn put(&mut self, mut lease: Lease) {
            self.version += 1;
            lease.metadata.resource_version = Some(self.version.to_string());
            self.lease = Some(lease);
        }
    }

    fn two() -> (Server, Election, Election) {
        let candidate = |me: &str| Election::new("operator".to_owned(), me.to_owned());
        (Server::default(), candidate("a"), candidate("b"))
    }

    #[test]
    fn the_first_has_it_and_keeps_it_while_it_renews() {
        let (mut server, mut a, mut b) = two();
        for now_ms in (0..60_000).step_by(3_000) {
            assert!(server.look(&mut a, now_ms));
            assert!(!server.look(&mut b, now_ms + 1));
            assert!(a.is_held(now_ms + 2_999) && !b.is_held(now_ms));
        }
        let spec = server.lease.unwrap().spec.unwrap();
        assert_eq!(spec.lease_transitions, Some(1));
    }

    #[test]
    fn one_that_stands_still_is_taken_and_its_holder_has_stopped_before() {
        let (mut server, mut a, mut b) = two();
        assert!(server.look(&mut a, 0));
        assert!(!server.look(&mut b, 1_000));
        assert!(!server.look(&mut b, 15_999));
        assert!(a.is_held(9_999) && !a.is_held(10_000));
        assert!(server.look(&mut b, 16_000));
        // The old one comes back, and waits.
        assert!(!server.look(&mut a, 16_001));
        assert_eq!(
            server.lease.unwrap().spec.unwrap().lease_transitions,
            Some(2)
        );
    }

    /// Other clocks may be years off: what is written of times decides nothing. Nor does what is not in its spec.
    #[test]
    fn no_clock_of_another_is_believed() {
        let (mut server, mut a, mut b) = two();
        assert!(server.look(&mut a, 0));
        for (now_ms, year_s) in [(0, -1_000_000_000), (4_000, 4_000_000_000)] {
            let mut lease = server.lease.clone().unwrap();
            let wall = Timestamp::from_second(year_s).unwrap();
            lease.spec.as_mut().unwrap().renew_time = Some(MicroTime(wall));
            server.put(lease);
            assert!(!server.look(&mut b, now_ms));
        }
        let mut lease = server.lease.clone().unwrap();
        lease.metadata.labels = Some([("by".to_owned(), "somebody".to_owned())].into());
        server.put(lease);
        assert!(!server.look(&mut b, 18_999));
        assert!(server.look(&mut b, 19_000));
    }

    #[test]
    fn one_that_is_given_up_is_taken_at_once() {
        let (mut server, mut a, mut b) = two();
        assert!(server.look(&mut a, 0));
        assert!(!server.look(&mut b, 1_000));
        let given_up = a.given_up(2_000).unwrap();
        server.put(given_up);
        assert!(server.look(&mut b, 3_000));
        assert!(
            a.given_up(10_001).is_none(),
            "what is not ours any more is not given up"
        );
    }
}
