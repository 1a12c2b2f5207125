//! Symbols come and go while the pods stay.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster::wait::{self, PATIENCE};
use cluster::{Checker, Persistence};
use serde_json::{Value, json};
use wire::Topic;

use super::Measured;
use super::feed::{Feed, UNTOUCHED_MAX};
use super::place::{Place, none, secs};

/// One that the simulator has and the example does not carry.
const SYMBOL: &str = "XRP-USDT";

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let measured = on(place, &feed).await?;
    place.put_back(feed);
    Ok(measured)
}

/// The symbols of `binance-spot` with one more, or as they were.
fn sources(object: &Value, with: bool) -> Value {
    let mut sources = object["spec"]["sources"].clone();
    if let Some(symbols) = sources[0]["symbols"].as_array_mut() {
        symbols.retain(|symbol| symbol != SYMBOL);
        if with {
            symbols.push(json!(SYMBOL));
        }
    }
    json!({ "sources": sources })
}

async fn on(place: &Place, feed: &Feed) -> Measured {
    let before = feed.pods(place).await?;
    let object = feed.object().await?;
    let assigned = feed.assignment().await?;
    let topic: Topic = format!("kline:1s:{SYMBOL}").parse()?;

    let since = feed.client.now();
    let started = Instant::now();
    feed.change(&sources(&object, true)).await?;
    let (with, difference) = feed.assignment_after(&assigned).await?;
    none(
        "instruments moved",
        &difference
            .moved
            .iter()
            .map(|moved| &moved.instrument)
            .collect::<Vec<_>>(),
    )?;
    ensure!(difference.added.len() == 1, "added: {:?}", difference.added);
    let texts = vec![topic.to_string()];
    let newcomer = Checker::start("newcomer", feed.way.address, texts, Persistence::Returns);
    newcomer
        .wait_for_closes(std::slice::from_ref(&topic), Duration::ZERO, 2, PATIENCE)
        .await?;
    let added = secs(started);

    feed.change(&sources(&object, false)).await?;
    let (_, difference) = feed.assignment_after(&with).await?;
    ensure!(
        difference.removed.len() == 1,
        "removed: {:?}",
        difference.removed
    );
    feed.settle().await?;
    is_as_before(feed, &object).await?;
    let last = newcomer.look(|ledger| ledger.of(&topic).len());
    feed.closes(4, PATIENCE).await?;
    let more = newcomer.look(|ledger| ledger.of(&topic).len()) - last;
    // The bars that had begun may close still.
    ensure!(
        more <= 2,
        "{more} closes came of a symbol that is not carried"
    );
    none("the newcomer was told wrong", &newcomer.violations())?;
    feed.same_pods(place, &before).await?;
    let late = feed.late_since(since, UNTOUCHED_MAX)?;
    Ok(vec![
        format!(
            "apply to a closed bar of a new symbol {added}; {late}; {} pods stayed",
            before.len()
        ),
        feed.check()?,
    ])
}

/// Waits until as many instruments are carried and heard of as before.
async fn is_as_before(feed: &Feed, before: &Value) -> Result<()> {
    wait::until("the end of an instrument", PATIENCE, async || {
        let now = feed.object().await?;
        let is_same =
            |count: &str| now["status"]["summary"][count] == before["status"]["summary"][count];
        Ok((is_same("instruments") && is_same("fresh")).then_some(()))
    })
    .await
}
