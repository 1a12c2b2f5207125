//! What must hold of the platform in a whole cluster: each scenario does one thing to it, as people or machines do, while a
//! client outside of the cluster checks every close that it is told. Waits are bounded, and nothing depends on how fast it is.
//!
//! Read first `ALL`, then `Place` (where they run) and `Feed` (what they look at).

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures_util::future::LocalBoxFuture;

/// What scenarios share: the cluster, what is installed, images.
mod place;

/// What is kept of a failure.
mod logs;

/// The cluster is put right, or left as it was.
mod tidy;

/// A MarketFeed and its client.
mod feed;

/// What pods are and what has become of them. Pure.
mod pods;

/// Processes of pods.
mod process;

/// Lines for people. Pure.
mod report;

/// A client that reads text as it comes.
mod socket;

/// An install, an apply, a first bar.
mod first_bar;

/// Symbols come and go.
mod symbols;

/// An owner is killed.
mod kill_owner;

/// The feed goes.
mod deletion;

/// The release goes.
mod uninstall;

/// Shards come and go.
mod reshard;

/// A gateway goes.
mod drain_gateway;

/// Another release.
mod rollout;

/// The API server is away.
mod api_away;

/// Another chart.
mod helm_upgrade;

/// Two feeds on one NATS.
mod two_feeds;

/// A namespace goes.
mod namespace;

/// Gateways by CPU.
mod autoscaling;

/// A second release.
mod second;

/// A node goes.
mod drain_node;

/// Nothing happens.
mod steady;

/// What cannot run.
mod bad_states;

pub use place::{Image, Place, Say, Stock};
pub use report::{Outcome, Verdict, all_well, summary, table};

/// No scenario may take longer: one that does not end is told as one that failed. The waits of the longest one (gateways are scaled
/// down twice, at 13 minutes each, and settle and come up besides) are bounded themselves, by less than this in all.
const SCENARIO_MAX: Duration = Duration::from_secs(70 * 60);

/// What was measured.
type Measured = Result<Vec<String>>;

/// One thing that is tried.
pub struct Scenario {
    /// For `--only`.
    pub name: &'static str,
    /// What must hold.
    pub holds: &'static str,
    /// It is one of the few that are always tried.
    pub is_smoke: bool,
    /// What it cannot do without.
    needs: Needs,
    run: for<'a> fn(&'a mut Place) -> LocalBoxFuture<'a, Measured>,
}

/// What a scenario cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// Any cluster will do.
    Any,
    /// A cluster that was made for it.
    Own,
    /// One with two nodes.
    TwoNodes,
    /// An image of a later release.
    Later,
}

/// All of them, in the order in which they are run: what the next one can go on with comes first.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "first-bar",
        holds: "helm install --wait, kubectl apply of an example, a bar at a client outside the cluster",
        is_smoke: true,
        needs: Needs::Any,
        run: |place| Box::pin(first_bar::run(place)),
    },
    Scenario {
        name: "symbols",
        holds: "a symbol is added and taken away, and no pod is started again",
        is_smoke: true,
        needs: Needs::Any,
        run: |place| Box::pin(symbols::run(place)),
    },
    Scenario {
        name: "kill-owner",
        holds: "the process that publishes a shard is killed, a standby goes on, nothing is lost or doubled",
        is_smoke: true,
        needs: Needs::Any,
        run: |place| Box::pin(kill_owner::run(place)),
    },
    Scenario {
        name: "reshard",
        holds: "2 to 4 shards and back: only what has to moves, pods that stay are not started again",
        is_smoke: false,
        needs: Needs::Any,
        run: |place| Box::pin(reshard::run(place)),
    },
    Scenario {
        name: "drain-gateway",
        holds: "the client's gateway stops: close code 1012, it goes on elsewhere",
        is_smoke: false,
        needs: Needs::Own,
        run: |place| Box::pin(drain_gateway::run(place)),
    },
    Scenario {
        name: "two-feeds",
        holds: "two feeds on one NATS: each carries its own, the end of one leaves the other alone",
        is_smoke: false,
        needs: Needs::Any,
        run: |place| Box::pin(two_feeds::run(place)),
    },
    Scenario {
        name: "namespace",
        holds: "a deleted namespace does not hang on the feed in it",
        is_smoke: false,
        needs: Needs::Any,
        run: |place| Box::pin(namespace::run(place)),
    },
    Scenario {
        name: "bad-states",
        holds: "a missing Secret, NATS away, streams of another owner: a condition with a reason, and nobody else is held up",
        is_smoke: false,
        needs: Needs::Any,
        run: |place| Box::pin(bad_states::run(place)),
    },
    Scenario {
        name: "helm-upgrade",
        holds: "an upgrade to a definition with a field more, and back, starts no pod of a feed again",
        is_smoke: false,
        needs: Needs::Any,
        run: |place| Box::pin(helm_upgrade::run(place)),
    },
    Scenario {
        name: "rollout",
        holds: "a release that writes other bars takes over, and this one again",
        is_smoke: false,
        needs: Needs::Later,
        run: |place| Box::pin(rollout::run(place)),
    },
    Scenario {
        name: "api-away",
        holds: "the API server is away for a minute: data flows on, no pod is started again",
        is_smoke: false,
        needs: Needs::Own,
        run: |place| Box::pin(api_away::run(place)),
    },
    Scenario {
        name: "drain-node",
        holds: "a node is drained with an owner and the client's gateway on it: they go on elsewhere",
        is_smoke: false,
        needs: Needs::TwoNodes,
        run: |place| Box::pin(drain_node::run(place)),
    },
    Scenario {
        name: "steady",
        holds: "five minutes without a change: no write by the operator, nor of anything of a feed, also where it is scaled by its load",
        is_smoke: false,
        needs: Needs::Own,
        run: |place| Box::pin(steady::run(place)),
    },
    Scenario {
        name: "second",
        holds: "a second release, of one namespace, beside the first: each looks after its own, and that namespace can be deleted",
        is_smoke: false,
        needs: Needs::Own,
        run: |place| Box::pin(second::beside(place)),
    },
    Scenario {
        name: "nats-lost",
        holds: "of three NATS servers the process of the one that leads is killed: nothing else is lost",
        is_smoke: false,
        needs: Needs::Own,
        run: |place| Box::pin(second::nats_lost(place)),
    },
    Scenario {
        name: "reinstall",
        holds: "the release goes while a feed is on another NATS, and takes it over, to its end, when it comes again",
        is_smoke: false,
        needs: Needs::Any,
        run: |place| Box::pin(second::reinstall(place)),
    },
    Scenario {
        name: "autoscaling",
        holds: "clients' CPU makes gateways more, and their end fewer",
        is_smoke: false,
        needs: Needs::Own,
        run: |place| Box::pin(autoscaling::run(place)),
    },
    Scenario {
        name: "delete",
        holds: "a deleted feed leaves no object, no pod, no stream and no bucket",
        is_smoke: true,
        needs: Needs::Any,
        run: |place| Box::pin(deletion::run(place)),
    },
    Scenario {
        name: "uninstall",
        holds: "a release that feeds need refuses to go; without them it goes, and the definition stays",
        is_smoke: true,
        needs: Needs::Any,
        run: |place| Box::pin(uninstall::run(place)),
    },
];

/// Those that are asked for, in order: the named ones, else all or the smoke.
///
/// # Errors
/// When there is none of a name.
pub fn chosen(names: &[String], all: bool) -> Result<Vec<&'static Scenario>> {
    for name in names {
        if !ALL.iter().any(|scenario| scenario.name == name) {
            let known: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
            bail!("there is no scenario {name}; there are {}", known.join(" "));
        }
    }
    let is_chosen = |scenario: &&Scenario| match names {
        [] => all || scenario.is_smoke,
        names => names.iter().any(|name| name == scenario.name),
    };
    Ok(ALL.iter().filter(is_chosen).collect())
}

impl Scenario {
    /// How many nodes it needs.
    #[must_use]
    pub fn nodes(&self) -> u8 {
        match self.needs {
            Needs::TwoNodes => 2,
            Needs::Any | Needs::Own | Needs::Later => 1,
        }
    }

    /// Runs it. What is known of a failure is kept in the folder of logs.
    pub async fn run(&self, place: &mut Place) -> Outcome {
        let started = Instant::now();
        place.say(&format!("{}: {}", self.name, self.holds));
        let verdict = match self.absent(place) {
            Some(why) => Verdict::Skipped(why.to_owned()),
            None => self.tried(place).await,
        };
        Outcome {
            name: self.name,
            verdict,
            took: started.elapsed(),
        }
    }

    async fn tried(&self, place: &mut Place) -> Verdict {
        let done = tokio::time::timeout(SCENARIO_MAX, (self.run)(place)).await;
        let why = match done {
            Ok(Ok(measured)) => return Verdict::Passed(measured),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("it was not over within {SCENARIO_MAX:?}"),
        };
        place.say(&format!("{}: FAILED: {why}", self.name));
        let logs = match place.keep_logs(self.name).await {
            Ok(folder) => format!("logs: {}", folder.display()),
            Err(error) => format!("logs could not be kept: {error:#}"),
        };
        Verdict::Failed(format!("{why}\n{logs}"))
    }

    /// Why it cannot be tried here.
    fn absent(&self, place: &Place) -> Option<&'static str> {
        match self.needs {
            Needs::Own | Needs::TwoNodes if !place.cluster.is_own() => {
                Some("only on a cluster that was made for it")
            }
            Needs::Later if place.stock.later.is_none() => {
                Some("there is no image of a later release (--later-image)")
            }
            Needs::Any | Needs::Own | Needs::TwoNodes | Needs::Later => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_found() {
        let names = |chosen: Vec<&Scenario>| -> Vec<&str> {
            chosen.iter().map(|scenario| scenario.name).collect()
        };
        let mut all = names(chosen(&[], true).unwrap());
        assert!(names(chosen(&[], false).unwrap()).len() <= all.len());
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), ALL.len());
        assert_eq!(names(chosen(&["delete".into()], true).unwrap()), ["delete"]);
        let error = chosen(&["delte".into()], false).err().unwrap().to_string();
        assert!(
            error.contains("delte") && error.contains("first-bar"),
            "{error}"
        );
    }
}
