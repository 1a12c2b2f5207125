//! The contract that every broker keeps.

use std::sync::Arc;

use runtime::broker::Bus;
use runtime::broker::contract::{self, Retention};
use wire::Scope;

use crate::feed::Feed;
use crate::server::{Servers, program};

async fn run(servers: &Servers, replicas: usize) {
    let make = async |scope: Scope, closes_max: usize| {
        let feed = Feed::of(scope, &servers.urls());
        let words = format!("--nats-replicas {replicas} --nats-closes-per-topic {closes_max}");
        Arc::new(feed.ready(&words).await) as Arc<dyn Bus>
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
