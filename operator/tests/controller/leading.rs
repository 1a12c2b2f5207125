//! Which of several operators writes.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use operator::leader::{Election, Lost, run};
use runtime::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::api::Api;

/// A candidate that runs.
struct Candidate {
    leads: watch::Receiver<bool>,
    shutdown: Shutdown,
    ended: JoinHandle<Result<(), Lost>>,
}

impl Candidate {
    fn start(api: &Api, name: &str) -> Self {
        let leases: kube::Api<Lease> = kube::Api::namespaced(api.client(), "system");
        let election = Election::new("marketfeed-operator".to_owned(), name.to_owned());
        let (told, leads) = watch::channel(false);
        let shutdown = Shutdown::new();
        let ended = tokio::spawn(run(leases, election, told, shutdown.clone()));
        Self {
            leads,
            shutdown,
            ended,
        }
    }

    /// How long it takes until it leads.
    async fn wait(&mut self) -> Duration {
        let since = Instant::now();
        self.leads.wait_for(|leads| *leads).await.unwrap();
        since.elapsed()
    }

    /// How it ended, within a minute.
    async fn end(self) -> Result<(), Lost> {
        let ended = timeout(Duration::from_secs(60), self.ended).await;
        assert!(ended.is_ok(), "it does not end");
        ended.unwrap().unwrap()
    }

    async fn is_waiting(&mut self, within: Duration) -> bool {
        timeout(within, self.wait()).await.is_err()
    }
}

fn api() -> Api {
    let api = Api::default();
    api.let_read();
    api
}

#[tokio::test(start_paused = true)]
async fn one_leads_and_hands_over_when_it_stops() {
    let api = api();
    let mut first = Candidate::start(&api, "first");
    first.wait().await;
    let mut second = Candidate::start(&api, "second");
    assert!(second.is_waiting(Duration::from_secs(120)).await);
    first.shutdown.trigger();
    first.end().await.unwrap();
    assert!(second.wait().await < Duration::from_secs(5));
    let lease = api.get("leases", "marketfeed-operator");
    assert_eq!(lease["spec"]["holderIdentity"], "second");
    assert_eq!(lease["spec"]["leaseTransitions"], 2);
}

/// It ends before the other one begins, whether the API server refuses or says nothing.
#[tokio::test(start_paused = true)]
async fn one_that_cannot_renew_ends_before_another_begins() {
    for hangs in [false, true] {
        let api = api();
        let mut first = Candidate::start(&api, "first");
        first.wait().await;
        let mut second = Candidate::start(&api, "second");
        assert!(second.is_waiting(Duration::from_secs(30)).await);
        let since = Instant::now();
        if hangs {
            api.hang(true);
        } else {
            api.fail_after(Some(0));
        }
        assert!(first.end().await.is_err());
        assert!(
            since.elapsed() <= Duration::from_secs(10),
            "{:?}",
            since.elapsed()
        );
        api.hang(false);
        api.fail_after(None);
        second.wait().await;
        assert!(
            since.elapsed() >= Duration::from_secs(13),
            "{:?}",
            since.elapsed()
        );
    }
}

/// An outage that is shorter than the deadline changes nothing.
#[tokio::test(start_paused = true)]
async fn a_short_outage_is_borne() {
    let api = api();
    let mut first = Candidate::start(&api, "first");
    first.wait().await;
    let mut second = Candidate::start(&api, "second");
    api.hang(true);
    tokio::time::sleep(Duration::from_secs(4)).await;
    api.hang(false);
    assert!(second.is_waiting(Duration::from_secs(60)).await);
    assert!(!first.ended.is_finished());
}
