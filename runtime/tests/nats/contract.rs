//! The contract that every broker keeps.

use std::sync::Arc;

use runtime::broker::Bus;
use runtime::broker::contract::{self, Retention};
use wire::Scope;

use crate::feed::Feed;
use crate::server::{Servers, program, raw_publish};

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

/// Readers run on while the stream is removed, as by `purge`, and made again by the publisher that starts after it.
async fn run_renewal(servers: &Servers, replicas: usize) {
    let feed = Feed::new("renewed", &servers.urls());
    let words = format!("--nats-replicas {replicas} --nats-closes-per-topic 20");
    let bus = Arc::new(feed.ready(&words).await);
    let renew = async || {
        let url = &servers.urls()[0];
        let answer = raw_publish(url, "$JS.API.STREAM.DELETE.MF_renewed_eu_CLOSES", "");
        assert!(answer.contains("\"success\":true"), "{answer}");
        drop(feed.ready(&words).await);
    };
    contract::run_renewal(feed.scope.clone(), bus, renew).await;
}

#[tokio::test]
async fn a_log_can_be_made_anew_on_one_server() {
    let Some(program) = program() else { return };
    run_renewal(&Servers::one(&program, ""), 1).await;
}

#[tokio::test]
async fn a_log_can_be_made_anew_on_three_servers() {
    let Some(program) = program() else { return };
    run_renewal(&Servers::three(&program), 3).await;
}
