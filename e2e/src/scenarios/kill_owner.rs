//! The pod that publishes a shard is killed.

use anyhow::{Context, Result, ensure};
use cluster::wait::{self, PATIENCE};

use super::Measured;
use super::feed::{Feed, GAP_MAX};
use super::place::Place;
use super::pods::Pod;

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let measured = on(place, &feed).await?;
    place.put_back(feed);
    Ok(measured)
}

async fn on(place: &Place, feed: &Feed) -> Measured {
    let owner = owner_of(place, feed, 0).await?;
    let since = feed.client.now();
    let how = kill(place, feed, &owner).await?;
    feed.closes(3, GAP_MAX).await?;
    let gap = feed.gap_since(since);
    let next = owner_of(place, feed, 0).await?;
    ensure!(next.uid != owner.uid, "{} publishes again", owner.name);
    feed.sees_changed(&owner).await?;
    feed.settle().await?;
    feed.closes(2, PATIENCE).await?;
    Ok(vec![
        format!("{} {how}; {} went on; {gap}", owner.name, next.name),
        feed.check()?,
    ])
}

/// The pod that publishes a shard, once one does.
pub(super) async fn owner_of(place: &Place, feed: &Feed, shard: u32) -> Result<Pod> {
    let held = format!("shard_lease_held{{shard=\"{shard}\"}} 1");
    let what = format!("the owner of shard {shard}");
    wait::until(&what, PATIENCE, async || {
        let pods = feed.pods(place).await?;
        for pod in pods {
            if pod.shard != Some(shard) || pod.is_going {
                continue;
            }
            // One that is being started does not answer.
            let metrics = place
                .ask(&feed.namespace, &pod.name, 9090, "/metrics")
                .await;
            if metrics.is_ok_and(|metrics| metrics.lines().any(|line| line == held)) {
                return Ok(Some(pod));
            }
        }
        Ok(None)
    })
    .await
}

/// kill -9 of its process where its node can be reached, else its removal without a wait; what was done.
async fn kill(place: &Place, feed: &Feed, pod: &Pod) -> Result<&'static str> {
    if !place.cluster.is_own() {
        let delete = ["delete", "pod", &pod.name, "-n", &feed.namespace];
        let now = ["--grace-period=0", "--force"];
        place.kubectl().run(delete.into_iter().chain(now)).await?;
        return Ok("was removed by force");
    }
    super::process::kill(&pod.uid).with_context(|| format!("cannot kill {}", pod.name))?;
    Ok("was killed with -9")
}
