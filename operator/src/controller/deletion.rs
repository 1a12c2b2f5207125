// Pure: how a feed goes: workloads, then pods, then what is on the bus, then the finalizer. It ends, whatever happens.
#![deny(clippy::disallowed_methods)]

use k8s_openapi::api::batch::v1::Job;

use super::ledger::Key;

/// Keeps a MarketFeed until what it has on the bus is removed.
pub const FINALIZER: &str = "marketfeed.dev/purge";

/// How long all of it may take, in seconds; the pods' own grace and the Job's 60 s are within.
pub const PATIENCE_S: i64 = 240;

/// How long is waited for the pods that publish, in seconds: a node that is lost keeps theirs for minutes.
pub const PODS_MAX_S: i64 = 120;

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

/// The next step of a feed that is deleted since so many seconds, of which the streams are to be removed or not.
#[must_use]
pub fn poll(remains: &Remains, is_purged: bool, since_s: i64) -> Step {
    if !is_purged {
        // What else there is has an owner, and goes with it.
        return Step::Release(None);
    }
    if since_s >= PATIENCE_S {
        return Step::Release(Some(format!(
            "its streams may be left on NATS: it took more than {PATIENCE_S} s"
        )));
    }
    if !remains.workloads.is_empty() {
        return Step::Delete(remains.workloads.clone());
    }
    match &remains.purge {
        Some(Purge::Done) => Step::Release(None),
        Some(Purge::Failed(why)) => {
            Step::Release(Some(format!("its streams may be left on NATS: {why}")))
        }
        Some(Purge::Running) => Step::Wait,
        None if remains.publishers > 0 && since_s < PODS_MAX_S => Step::Wait,
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
        assert_eq!(poll(&remains, true, 0), Step::Delete(vec![key()]));
        remains.workloads.clear();
        assert_eq!(poll(&remains, true, 5), Step::Wait);
        remains.publishers = 0;
        assert_eq!(poll(&remains, true, 30), Step::Purge);
        remains.purge = Some(Purge::Running);
        assert_eq!(poll(&remains, true, 31), Step::Wait);
        remains.purge = Some(Purge::Done);
        assert_eq!(poll(&remains, true, 32), Step::Release(None));
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
