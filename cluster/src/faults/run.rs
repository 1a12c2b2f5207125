//! One run: clients get level, something breaks, closes go on, everything is whole again, and the clients say what
//! they saw.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep, sleep_until};
use wire::Topic;

use super::fault::Fault;
use super::plan::{Kind, Plan};
use super::report::Outcome;
use super::truth::{self, Doubts};
use crate::checker::{Checker, Ledger, Persistence};
use crate::topology::{Options, Topology};
use crate::wait::PATIENCE;

/// Closes of every one-second topic that a client must have had before something breaks, and after it is whole again.
const CLOSES: usize = 3;

/// How long the amendments of bars that lack trades may take after closes go on: a page is asked for six times in about a
/// minute.
const REPAIR_MAX: Duration = Duration::from_secs(75);
/// Between two looks at what is in doubt still.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Carries the plan out on a topology that is whole, and leaves it whole.
///
/// # Errors
/// When the topology itself fails: a process does not come back, NATS does not answer. What clients saw wrong is in
/// the outcome.
pub async fn run(topology: &mut Topology, plan: &Plan) -> Result<Outcome> {
    let clients = Clients::connect(topology, plan)?;
    clients
        .get_closes(&vec![Duration::ZERO; clients.all.len()])
        .await?;
    sleep(plan.wait).await;

    let broken_at = (Instant::now(), clients.now());
    let fault = Fault::inject(topology, plan).await?;
    for after in &plan.drops {
        sleep_until(broken_at.0 + *after).await;
        clients.cut();
    }
    sleep_until(broken_at.0 + plan.lasts).await;
    fault.mend(topology).await?;

    let resumed = clients.get_closes(&clients.now()).await;
    if resumed.is_ok() {
        clients.get_repaired(topology.options()).await?;
    }
    let mut outcome = clients.outcome(plan, &broken_at.1);
    match resumed {
        Ok(()) => {
            let doubts = clients.doubts(topology.options())?;
            outcome.doubted = doubts.ever;
            outcome.handle_marked(clients.marked(broken_at.1[0]));
            outcome.broken.extend(doubts.still);
            outcome
                .broken
                .extend(truth::compare(topology, clients.stays()).await?);
        }
        Err(error) => {
            outcome.resumed = None;
            outcome.broken.push(format!("{error:#}"));
        }
    }
    Ok(outcome)
}

/// The clients of a run: the first stays connected throughout, the others come and go.
struct Clients {
    all: Vec<Checker>,
    /// The topics of the shortest bars.
    fastest: Vec<Topic>,
    /// Whose time without closes counts: the first, or the one that the fault is about.
    measured: usize,
}

impl Clients {
    /// Connects them. The one that stays is at a gateway that goes on; the one that returns goes through nginx; and
    /// where a gateway is restarted, one returns to that very gateway.
    fn connect(topology: &mut Topology, plan: &Plan) -> Result<Self> {
        let options = topology.options();
        let (topics, gateways) = (options.all_topics(), options.gateways);
        let fastest = options.intervals.first().context("no interval")?;
        let fastest = options.topics(fastest);
        let fastest = fastest.iter().map(|topic| topic.parse());
        let fastest = fastest.collect::<Result<_, _>>()?;
        let elsewhere = topology.gateway((plan.gateway + 1) % gateways).listen();
        let client = |name: &str, server, persistence| {
            Checker::start(name, server, topics.clone(), persistence)
        };
        let mut all = vec![
            client("the one that stays", elsewhere, Persistence::Stays),
            client(
                "the one that returns",
                topology.front(),
                Persistence::Returns,
            ),
        ];
        let mut measured = 0;
        if plan.kind == Kind::RestartGateway {
            let there = topology.gateway(plan.gateway).listen();
            // That one waits until it is back; what is aimed at is the way round it.
            measured = 1;
            all.push(client(
                "the one at that gateway",
                there,
                Persistence::Returns,
            ));
        }
        Ok(Self {
            all,
            fastest,
            measured,
        })
    }

    fn stays(&self) -> &Checker {
        &self.all[0]
    }

    /// The time of each client's clock.
    fn now(&self) -> Vec<Duration> {
        self.all.iter().map(Checker::now).collect()
    }

    /// Cuts the connections of those that return.
    fn cut(&self) {
        self.all[1..].iter().for_each(Checker::drop_connection);
    }

    /// Waits until each client has had closes of each fast topic after its time in `since`.
    async fn get_closes(&self, since: &[Duration]) -> Result<()> {
        for (client, since) in self.all.iter().zip(since) {
            client
                .wait_for_closes(&self.fastest, *since, CLOSES, PATIENCE)
                .await?;
        }
        Ok(())
    }

    /// The bars that the one that stays was told to lack trades.
    fn doubts(&self, options: &Options) -> Result<Doubts> {
        self.stays().look(|ledger| truth::in_doubt(options, ledger))
    }

    /// How many of the shortest bars it was told after this time of its clock to lack trades, or to have lacked them.
    fn marked(&self, since: Duration) -> usize {
        let marked = |ledger: &Ledger| truth::marked(ledger, &self.fastest, since);
        self.stays().look(marked)
    }

    /// Waits until none of them is in doubt any more, or for as long as anybody tries to repair it.
    async fn get_repaired(&self, options: &Options) -> Result<()> {
        let deadline = Instant::now() + REPAIR_MAX;
        while !self.doubts(options)?.still.is_empty() && Instant::now() < deadline {
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// What they saw, of which something broke at these times of their clocks.
    fn outcome(&self, plan: &Plan, broken_at: &[Duration]) -> Outcome {
        let mut broken = Vec::new();
        for client in &self.all {
            let violations = client.violations();
            broken.extend(
                violations
                    .iter()
                    .map(|it| format!("{}: {it}", client.name())),
            );
        }
        let first = self.stays().look(Clone::clone);
        for other in &self.all[1..] {
            let different = other.look(|ledger| first.differences(ledger));
            broken.extend(different.iter().map(ToString::to_string));
        }
        let since = broken_at[self.measured];
        let slowest = self.all[self.measured].look(|ledger| {
            let waited = self.fastest.iter().map(|topic| {
                let (waited, entry) = ledger.waited_since(topic, since)?;
                let (start_ms, what) = (entry.start_ms, entry.completeness);
                Some((waited, format!("{topic}, the bar of {start_ms}, {what}")))
            });
            // One topic without a close makes it none.
            waited.collect::<Option<Vec<_>>>()?.into_iter().max()
        });
        let (resumed, slowest) = slowest.unzip();
        Outcome {
            plan: plan.clone(),
            resumed,
            slowest,
            doubted: 0,
            marked: 0,
            broken,
        }
    }
}
