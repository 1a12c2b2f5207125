//! One operator of several writes: the one that holds a Lease. The others wait for it to be given up, or not to be renewed.
//!
//! A gate and not a fence: who has lost it without noticing may write once more. Nothing depends on it: what is applied is the
//! same whoever applies it, and an assignment replaces only the one that it goes on from.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
use runtime::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

/// When the Lease is whose.
mod election;

pub use election::{Election, Step};

/// How often who holds the Lease renews it: the figures here and of [`Election`] are those of Kubernetes' own controllers.
const RENEWED_EVERY: Duration = Duration::from_secs(2);

/// How much longer than that others wait between two looks, at most and by chance, so that they do not all come at once.
const JITTER: f64 = 1.2;

/// How long one look may take, which is two requests: so short that after one that hangs there is time for another.
const REQUEST_MAX: Duration = Duration::from_secs(3);

/// Whoever held it could not renew it in time: somebody else may hold it now.
#[derive(Debug, thiserror::Error)]
#[error("the lease was not renewed in time: another operator may have it")]
pub struct Lost;

/// Tries to hold the Lease until it is asked to stop, and says when it does. Then it is given up.
///
/// # Errors
/// When it was held and is lost.
pub async fn run(
    leases: Api<Lease>,
    mut election: Election,
    leads: watch::Sender<bool>,
    shutdown: Shutdown,
) -> Result<(), Lost> {
    let started = Instant::now();
    let now_ms = || u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut rng = fastrand::Rng::new();
    loop {
        // Also in the middle of a request: from then on another one may have it.
        let held_until = election
            .held_until_ms()
            .map(|at_ms| started + Duration::from_millis(at_ms));
        let is_lost = async {
            match held_until {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let next = async {
            look(&leases, &mut election, now_ms()).await;
            let is_held = election.is_held(now_ms());
            if is_held && !*leads.borrow() {
                tracing::info!("this operator leads");
                leads.send_replace(true);
            }
            let jitter = if is_held { 0.0 } else { rng.f64() * JITTER };
            tokio::select! {
                () = shutdown.requested() => true,
                () = tokio::time::sleep(RENEWED_EVERY.mul_f64(1.0 + jitter)) => false,
            }
        };
        let is_stopping = tokio::select! {
            is_stopping = next => is_stopping,
            () = is_lost => return Err(Lost),
        };
        if is_stopping {
            break;
        }
    }
    if let Some(lease) = election.given_up(now_ms()) {
        let name = lease.metadata.name.clone().unwrap_or_default();
        // Whoever waits takes it later then.
        let _ = tokio::time::timeout(
            REQUEST_MAX,
            leases.replace(&name, &PostParams::default(), &lease),
        )
        .await;
    }
    Ok(())
}

/// One look and what follows from it. What fails is tried again at the next.
async fn look(leases: &Api<Lease>, election: &mut Election, sent_ms: u64) {
    let name = election.name().to_owned();
    let tried = tokio::time::timeout(REQUEST_MAX, async {
        let found = leases.get_opt(&name).await?;
        match election.poll(found.as_ref(), sent_ms, k8s_openapi::jiff::Timestamp::now()) {
            Step::Wait => Ok(None),
            Step::Create(lease) => leases
                .create(&PostParams::default(), &lease)
                .await
                .map(Some),
            // Its resource version is the one that was read: of two only one gets it.
            Step::Replace(lease) => leases
                .replace(&name, &PostParams::default(), &lease)
                .await
                .map(Some),
        }
    });
    match tried.await {
        Ok(Ok(Some(lease))) => election.handle_held(lease, sent_ms),
        Ok(Ok(None)) => {}
        Ok(Err(kube::Error::Api(status))) if status.is_conflict() || status.is_already_exists() => {
        }
        Ok(Err(error)) => tracing::warn!(%error, "the lease cannot be had"),
        Err(_) => tracing::warn!("the API server does not answer for the lease"),
    }
}
