//! From nothing to a bar: what somebody does who tries it for the first time.

use std::time::Instant;

use super::Measured;
use super::feed::{Feed, Wanted};
use super::place::{FEEDS, Place, secs};

pub(super) async fn run(place: &mut Place) -> Measured {
    let started = Instant::now();
    place.install().await?;
    let installed = secs(started);
    let (feed, times) = Feed::create(place, Wanted::new(FEEDS)).await?;
    let all = secs(started);
    let tested = place.helm_test().await?;
    let told = feed.check()?;
    place.put_back(feed);
    Ok(vec![
        format!("helm install --wait {installed}"),
        format!(
            "apply to a closed bar of every symbol {:.1} s, to Ready {:.1} s; all {all}",
            times.first_close.as_secs_f64(),
            times.ready.as_secs_f64()
        ),
        format!(
            "helm test read a live bar: {}...",
            tested.get(..60).unwrap_or(&tested)
        ),
        told,
    ])
}
