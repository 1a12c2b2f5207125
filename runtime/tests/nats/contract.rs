//! The contract that every broker keeps.

use std::sync::Arc;

use clap::Parser;
use runtime::broker::Bus;
use runtime::broker::contract::{self, Retention};
use runtime::broker::nats::{NatsArgs, NatsBroker, NatsState, Party};
use runtime::telemetry::Metrics;
use wire::Scope;

use crate::server::{Servers, program};

#[derive(Debug, Parser)]
struct Words {
    #[command(flatten)]
    nats: NatsArgs,
}

/// A broker that is ready.
pub async fn broker(servers: &Servers, scope: &Scope, words: &str) -> NatsBroker {
    let broker = begun(&servers.urls(), scope, words, Party::Publisher);
    let mut states = broker.state();
    states
        .wait_for(|state| *state == NatsState::Ready)
        .await
        .unwrap();
    broker
}

pub fn begun(urls: &[String], scope: &Scope, words: &str, party: Party) -> NatsBroker {
    let urls = urls.join(",");
    let all = ["x", "--nats-url", &urls].into_iter();
    let words = Words::try_parse_from(all.chain(words.split_whitespace())).unwrap();
    let options = words.nats.options(party).unwrap();
    NatsBroker::connect(scope.clone(), options, &Metrics::new())
}

async fn run(servers: &Servers, replicas: usize) {
    let make = async |scope: Scope, closes_max: usize| {
        let words = format!("--nats-replicas {replicas} --nats-closes-per-topic {closes_max}");
        Arc::new(broker(servers, &scope, &words).await) as Arc<dyn Bus>
    };
    contract::run(Retention::PerTopic, make).await;
}

#[tokio::test]
async fn one_server_keeps_the_contract() {
    let Some(program) = program() else { return };
    run(&Servers::one(&program, ""), 1).await;
}

#[tokio::test]
async fn three_servers_keep_the_contract() {
    let Some(program) = program() else { return };
    run(&Servers::three(&program), 3).await;
}
