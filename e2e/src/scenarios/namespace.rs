//! A namespace is deleted with the feed in it.

use std::time::{Duration, Instant};

use cluster::wait;

use super::Measured;
use super::feed::{Feed, Wanted};
use super::place::{Place, secs};

/// The pods' own grace is half a minute, that of gateways 50 s.
const GONE_MAX: Duration = Duration::from_secs(240);

pub(super) async fn run(place: &mut Place) -> Measured {
    place.install().await?;
    let (feed, _) = Feed::create(place, Wanted::new("e2e-going")).await?;
    let told = feed.check()?;
    let started = Instant::now();
    let delete = ["delete", "namespace", &feed.namespace, "--wait=false"];
    place.kubectl().run(delete).await?;
    wait::until("the namespace's end", GONE_MAX, async || {
        let get = ["get", "namespace", &feed.namespace];
        Ok((!place.kubectl().try_run(get).await?.ok).then_some(()))
    })
    .await?;
    Ok(vec![format!("gone after {}", secs(started)), told])
}
