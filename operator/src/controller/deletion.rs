// Pure: how a feed goes: workloads, then pods, then what is on the bus, then the finalizer. It ends, whatever happens.
#![deny(clippy::disallowed_methods)]

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;

use super::ledger::Key;

/// Keeps a MarketFeed until what it has on the bus is removed.
pub const FINALIZER: &str = "marketfeed.dev/purge";

/// How long all of it may take, in seconds, since this process looks at it; the pods' own grace and the Job's 60 s are within.
pub const PATIENCE_S: i64 = 240;

/// How long is waited for the pods that publish, in seconds: a node that is lost keeps theirs for minutes.
pub const PODS_MAX_S: i64 = 120;

/// How long no pod that publishes is to be seen before what is on the bus is removed, in seconds: pods are made a moment after
/// their Deployment, also of one that is deleted meanwhile.
pub const QUIET_S: i64 = 5;

/// What is there of a feed that is being deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remains {
    /// Deployments.
    pub workloads: Vec<Key>,
    /// Pods that publish: they would make the streams anew.
    pub publishers: usize,
    /// The Job, if it was made.
    pub purge: Option<Purge>,
}

/// How the Job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purge {
    /// It runs, or will.
    Running,
    /// It has removed all of it.
    Done,
    /// It has not, and will not.
    Failed(String),
}

impl Purge {
    /// What the Job says of itself.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        let conditions = job
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        for condition in conditions.filter(|condition| condition.status == "True") {
            match &condition.type_[..] {
                "Complete" | "SuccessCriteriaMet" => return Self::Done,
                "Failed" | "FailureTarget" => {
                    let why = condition
                        .message
                        .clone()
                        .or_else(|| condition.reason.clone());
                    return Self::Failed(why.unwrap_or_default());
                }
                _ => {}
            }
        }
        Self::Running
    }
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Delete these.
    Delete(Vec<Key>),
    /// Make the Job.
    Purge,
    /// Look again later.
    Wait,
    /// Let it go; with what may be left behind, if anything.
    Release(Option<String>),
}

/// What a feed that is not let go yet waits for, after the next step of it.
#[must_use]
pub const fn awaited(remains: &Remains, step: &Step) -> &'static str {
    match (step, &remains.purge) {
        (Step::Purge, _) | (_, Some(_)) => "its Job, which removes its streams from NATS",
        _ => "its market-data pods to stop, which would make its streams anew",
    }
}

/// How far the deletion of a feed is. Not since when it is deleted: nobody may have looked at it for longer than all of it may
/// take.
#[derive(Debug, Clone, Default)]
pub struct Going {
    /// When it was looked at first, in Unix seconds.
    since_s: Option<i64>,
    /// Since when no pod that publishes is seen.
    quiet_since_s: Option<i64>,
    /// Whether it was looked, beside what is watched, what was made of it.
    is_listed: bool,
    /// What failed at the last look, if anything did.
    error: Option<String>,
}

impl Going {
    /// Whether it is to be looked what was made of it: what was made a moment ago may not be watched yet. Where that cannot be
    /// told, it goes on without.
    pub fn poll_listing(&mut self, now_s: i64) -> bool {
        let since_s = *self.since_s.get_or_insert(now_s);
        !self.is_listed && now_s.saturating_sub(since_s) < PODS_MAX_S
    }

    /// It was looked.
    pub const fn handle_listed(&mut self) {
        self.is_listed = true;
    }

    /// What failed at this look, if anything did.
    pub fn handle_looked(&mut self, error: Option<String>) {
        self.error = error;
    }

    /// What is left of the time that it may take, if it is deleted and any is: so long may be waited at most until it is looked
    /// at again.
    #[must_use]
    pub fn left(&self, now_s: i64) -> Option<Duration> {
        let left_s = PATIENCE_S - now_s.saturating_sub(self.since_s?);
        let left_s = u64::try_from(left_s).ok().filter(|left_s| *left_s > 0)?;
        Some(Duration::from_secs(left_s))
    }

    /// The next step of a feed that is deleted, of which the streams are to be removed or not.
    #[must_use]
    pub fn poll(&mut self, remains: &Remains, is_purged: bool, now_s: i64) -> Step {
        let since_s = *self.since_s.get_or_insert(now_s);
        if remains.publishers > 0 {
            self.quiet_since_s = None;
        }
        let quiet_since_s = match remains.publishers {
            0 => *self.quiet_since_s.get_or_insert(now_s),
            _ => now_s,
        };
        let for_s = |since_s: i64| now_s.saturating_sub(since_s);
        if !is_purged {
            // What else there is has an owner, and goes with it.
            return Step::Release(None);
        }
        if for_s(since_s) >= PATIENCE_S {
            let error = self.error.iter().map(|error| format!(": {error}"));
            return Step::Release(Some(format!(
                "its streams may be left on NATS: it took more than {PATIENCE_S} s{}",
                error.collect::<String>()
            )));
        }
        step(remains, for_s(since_s), for_s(quiet_since_s))
    }
}

fn step(remains: &Remains, since_s: i64, quiet_s: i64) -> Step {
    if !remains.workloads.is_empty() {
        return Step::Delete(remains.workloads.clone());
    }
    match &remains.purge {
        Some(Purge::Done) => Step::Release(None),
        Some(Purge::Failed(why)) => {
            Step::Release(Some(format!("its streams may be left on NATS: {why}")))
        }
        Some(Purge::Running) => Step::Wait,
        None if quiet_s < QUIET_S && since_s < PODS_MAX_S => Step::Wait,
        None => Step::Purge,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key() -> Key {
        Key {
            kind: "Deployment".to_owned(),
            name: "crypto-shard-0".to_owned(),
        }
    }

    #[test]
    fn it_goes_in_order() {
        let mut remains = Remains {
            workloads: vec![key()],
            publishers: 2,
            purge: None,
        };
        let mut going = Going::default();
        assert!(going.poll_listing(1_000));
        going.handle_listed();
        assert!(!going.poll_listing(1_000));
        let mut poll = |remains: &Remains, now_s| going.poll(remains, true, now_s);
        // Nobody looked at it before, however long it is deleted.
        assert_eq!(poll(&remains, 1_000), Step::Delete(vec![key()]));
        remains.workloads.clear();
        assert_eq!(poll(&remains, 1_005), Step::Wait);
        remains.publishers = 0;
        assert_eq!(poll(&remains, 1_030), Step::Wait);
        // One that was made late.
        remains.publishers = 1;
        assert_eq!(poll(&remains, 1_034), Step::Wait);
        remains.publishers = 0;
        assert_eq!(poll(&remains, 1_036), Step::Wait);
        assert_eq!(poll(&remains, 1_036 + QUIET_S - 1), Step::Wait);
        assert_eq!(poll(&remains, 1_036 + QUIET_S), Step::Purge);
        remains.purge = Some(Purge::Running);
        assert_eq!(poll(&remains, 1_051), Step::Wait);
        remains.purge = Some(Purge::Done);
        assert_eq!(poll(&remains, 1_052), Step::Release(None));
    }

    fn poll(remains: &Remains, is_purged: bool, since_s: i64) -> Step {
        let mut going = Going::default();
        let _ = going.poll(&Remains::default(), true, 1_000);
        going.poll(remains, is_purged, 1_000 + since_s)
    }

    #[test]
    fn it_ends_whatever_happens() {
        let stuck = Remains {
            workloads: Vec::new(),
            publishers: 1,
            purge: None,
        };
        assert_eq!(poll(&stuck, true, PODS_MAX_S), Step::Purge);
        let running = Remains {
            purge: Some(Purge::Running),
            ..Remains::default()
        };
        assert!(matches!(
            poll(&running, true, PATIENCE_S),
            Step::Release(Some(_))
        ));
        let kept = Remains {
            workloads: vec![key()],
            ..Remains::default()
        };
        assert!(matches!(
            poll(&kept, true, PATIENCE_S),
            Step::Release(Some(_))
        ));
        let failed = Remains {
            purge: Some(Purge::Failed("no rights".to_owned())),
            ..Remains::default()
        };
        let Step::Release(Some(words)) = poll(&failed, true, 50) else {
            panic!()
        };
        assert!(words.contains("no rights"));
        assert_eq!(poll(&kept, false, 0), Step::Release(None));
        // Nor is it asked for ever what was made.
        let mut going = Going::default();
        assert!(going.poll_listing(0) && going.poll_listing(PODS_MAX_S - 1));
        assert!(!going.poll_listing(PODS_MAX_S));
    }

    #[test]
    fn what_failed_is_told_when_it_is_let_go() {
        let mut going = Going::default();
        let none = Remains::default();
        let _ = going.poll(&none, true, 1_000);
        going.handle_looked(Some("start the purge: over the quota".to_owned()));
        let words = |going: &mut Going| match going.poll(&none, true, 1_000 + PATIENCE_S) {
            Step::Release(Some(words)) => words,
            other => panic!("{other:?}"),
        };
        assert!(words(&mut going).contains("start the purge: over the quota"));
        going.handle_looked(None);
        assert!(!words(&mut going).contains("quota"));
    }

    /// A pause after a look that failed ends when it is to be let go.
    #[test]
    fn what_is_left_of_its_time() {
        let mut going = Going::default();
        assert_eq!(going.left(1_000), None, "it is not deleted");
        let _ = going.poll(&Remains::default(), true, 1_000);
        for (passed, expect) in [
            (0, Some(PATIENCE_S)),
            (PATIENCE_S - 1, Some(1)),
            (PATIENCE_S, None),
            (PATIENCE_S + 1, None),
        ] {
            let left = going.left(1_000 + passed).map(|left| left.as_secs());
            assert_eq!(left, expect.map(i64::unsigned_abs), "{passed}");
        }
    }

    #[test]
    fn what_a_job_says() {
        let of = |conditions: serde_json::Value| {
            Purge::of(
                &serde_json::from_value(
                    json!({ "metadata": {}, "status": { "conditions": conditions } }),
                )
                .unwrap(),
            )
        };
        let condition = |kind: &str, status: &str| json!([{ "type": kind, "status": status, "message": "why" }]);
        assert_eq!(of(json!([])), Purge::Running);
        assert_eq!(of(condition("Complete", "True")), Purge::Done);
        assert_eq!(of(condition("Complete", "False")), Purge::Running);
        assert_eq!(
            of(condition("Failed", "True")),
            Purge::Failed("why".to_owned())
        );
    }
}
