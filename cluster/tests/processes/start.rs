//! The order of starting: none is wrong, and who waits says so once an attempt.

use cluster::NatsServer;
use cluster::wait::PATIENCE;

use crate::support::{Daemon, Feed, Place, assignment, built, goes_on, topics};

#[tokio::test]
async fn processes_wait_for_nats_and_for_the_assignment() {
    if !built() {
        return;
    }
    let place = Place::new();
    let mut nats = NatsServer::start().await.unwrap();
    nats.kill().unwrap();
    let (_exchange, exchange) = place.exchange().await;
    let mut gateway = place.gateway(&nats.url(), &[]);
    let mut marketdata = place.marketdata(&nats.url(), &place.path("assignment.json"), &[]);
    // From its first answer on.
    marketdata.check_unready(&["nats", "assignment"]).await;
    gateway.unready(&["nats"]).await;
    for waiting in [&mut gateway, &mut marketdata] {
        let sixth = waiting.process.wait_for_line("attempt=6 ", PATIENCE);
        sixth.await.unwrap();
        check_backoff(waiting);
    }
    place.replace("assignment.json", assignment(exchange, 5).as_bytes());
    marketdata.unready(&["nats"]).await;
    gateway.check_unready(&["nats"]).await;
    nats.restart().await.unwrap();
    marketdata.ready().await;
    gateway.ready().await;
    let client = client(&gateway);
    goes_on(&client).await;
    // Once reached, it may go: what runs stays ready, and goes on where it was.
    nats.kill().unwrap();
    for process in [&mut gateway, &mut marketdata] {
        let lost = process.process.wait_for_line("NATS is lost", PATIENCE);
        lost.await.unwrap();
        assert_eq!(process.get("/readyz").await.0, 200);
    }
    nats.restart().await.unwrap();
    goes_on(&client).await;
    assert_eq!(client.subscriptions(), 1);
}

/// One line an attempt, each with the wait before the next, whose ceiling doubles; and of what follows from it, less.
fn check_backoff(process: &Daemon) {
    let lines = process.lines("NATS cannot be used yet");
    for (nth, line) in lines.iter().enumerate() {
        let number = |name: &str| -> u64 {
            let rest = line.split_once(name).unwrap().1;
            rest.split(' ').next().unwrap().parse().unwrap()
        };
        assert_eq!(number("attempt="), nth as u64 + 1, "{lines:#?}");
        let ceiling_ms = (200 << nth).min(5_000);
        assert!(number("delay_ms=") <= ceiling_ms, "{line}");
        assert!(line.contains("Connection refused"), "{line}");
    }
    let warned = process.lines(" WARN ").len() + process.lines("ERROR").len();
    assert!(warned < 2 * lines.len(), "{warned} for {lines:#?}");
}

#[tokio::test]
async fn nats_comes_first_and_the_rest_in_the_other_order() {
    if !built() {
        return;
    }
    let place = Place::new();
    let nats = NatsServer::start().await.unwrap();
    let (_exchange, exchange) = place.exchange().await;
    let mut gateway = place.gateway(&nats.url(), &[]);
    let why = "does not exist yet: a publisher makes it";
    let waits = gateway.process.wait_for_line(why, PATIENCE);
    waits.await.unwrap();
    gateway.check_unready(&["nats"]).await;
    let mut marketdata = place.marketdata(&nats.url(), &place.path("assignment.json"), &[]);
    gateway.ready().await;
    marketdata.unready(&["assignment"]).await;
    place.replace("assignment.json", assignment(exchange, 5).as_bytes());
    marketdata.ready().await;
    goes_on(&client(&gateway)).await;
}

#[tokio::test]
async fn a_gateway_that_comes_later_serves_what_is_there() {
    if !built() {
        return;
    }
    let feed = Feed::start().await;
    let first = feed.client();
    goes_on(&first).await;
    let mut later = feed.place.gateway(&feed.nats.url(), &[]);
    later.ready().await;
    let second = client(&later);
    goes_on(&second).await;
    goes_on(&first).await;
    let different = first.look(|first| second.look(|second| first.differences(second)));
    assert_eq!(different, []);
}

fn client(gateway: &Daemon) -> cluster::Checker {
    let topics = topics().iter().map(ToString::to_string).collect();
    cluster::Checker::start("it", gateway.listen, topics, cluster::Persistence::Stays)
}
