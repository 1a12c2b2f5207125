//! Ctrl-C and SIGTERM: the first one drains, the second one cuts.

use cluster::wait::{self, PATIENCE};
use cluster::{Link, NatsServer, http};

use crate::support::{Daemon, END_MAX, Feed, LEASES, Place, assignment, built, goes_on, last};

/// Asks by SIGINT or SIGTERM; the code that it ends with.
async fn stop(daemon: &mut Daemon, by_interrupt: bool) -> Option<i32> {
    if by_interrupt {
        daemon.interrupt();
    } else {
        daemon.process.ask_to_stop().unwrap();
    }
    daemon.process.ended(END_MAX).await.unwrap().code()
}

/// Asks again until it ends: at first, what comes belongs to the request before it.
async fn insist(daemon: &mut Daemon, by_interrupt: bool) -> Option<i32> {
    let ended = wait::until("its end", END_MAX, async || {
        if by_interrupt {
            daemon.interrupt();
        } else {
            daemon.process.ask_to_stop()?;
        }
        daemon.process.try_ended()
    });
    ended.await.unwrap().code()
}

#[tokio::test]
async fn who_still_waits_stops_when_asked() {
    if !built() {
        return;
    }
    let place = Place::new();
    let mut nats = NatsServer::start().await.unwrap();
    nats.kill().unwrap();
    for by_interrupt in [true, false] {
        let mut marketdata = place.marketdata(&nats.url(), &place.path("none.json"), &[]);
        let mut gateway = place.gateway(&nats.url(), &[]);
        for daemon in [&mut marketdata, &mut gateway] {
            let waits = daemon.process.wait_for_line("attempt=4 ", PATIENCE);
            waits.await.unwrap();
            daemon.get("/livez").await;
            assert_eq!(stop(daemon, by_interrupt).await, Some(0));
            assert_eq!(
                daemon.lines("error").len(),
                daemon.lines("NATS cannot be used yet").len()
                    + daemon.lines("no assignment yet").len()
                    + daemon.lines("cannot subscribe").len()
            );
        }
    }
}

#[tokio::test]
async fn who_serves_drains_and_gives_its_lease_back() {
    if !built() {
        return;
    }
    let mut feed = Feed::start().await;
    for by_interrupt in [true, false] {
        let client = feed.client();
        goes_on(&client).await;
        assert_eq!(stop(&mut feed.gateway, by_interrupt).await, Some(0));
        assert_eq!(stop(&mut feed.marketdata, by_interrupt).await, Some(0));
        let lease = last(&feed.nats, LEASES, "$KV.MF_it_local_LEASES.shard-0").await;
        assert_eq!(lease["released"], true, "{lease}");
        // The client's connection was ended by a word.
        let told = client.violations();
        assert!(
            told.len() == 1 && told[0].to_string().contains("1012"),
            "{told:?}"
        );
        for daemon in [&mut feed.marketdata, &mut feed.gateway] {
            daemon.process.restart().unwrap();
            daemon.ready().await;
        }
    }
}

#[tokio::test]
async fn a_second_signal_cuts() {
    if !built() {
        return;
    }
    let place = Place::new();
    let nats = NatsServer::start().await.unwrap();
    let (_exchange, exchange) = place.exchange().await;
    let assignment = place.replace("assignment.json", assignment(exchange, 5).as_bytes());
    // A shard that cannot give back its lease waits for NATS as long as it may.
    let link = Link::to(&[nats.address()]).await.unwrap();
    let mut marketdata = place.marketdata(&link.nats_urls(), &assignment, &[]);
    marketdata.ready().await;
    let mut gateway = place.gateway(&nats.url(), &["--linger", "2m"]);
    gateway.ready().await;
    gateway.process.ask_to_stop().unwrap();
    gateway.unready(&["stopping", "gateway"]).await;
    assert_eq!(insist(&mut gateway, false).await, Some(143));

    let active = async || {
        let (_, view) = http::get(marketdata.admin, "/admin/shard").await?;
        Ok(view.contains("\"role\":\"active\"").then_some(()))
    };
    wait::until("an owner", PATIENCE, active).await.unwrap();
    link.cut();
    marketdata.process.ask_to_stop().unwrap();
    let stopping = marketdata.process.wait_for_line("stopping", PATIENCE);
    stopping.await.unwrap();
    assert_eq!(insist(&mut marketdata, true).await, Some(130));
}
