//! `marketfeed-operator run`: the controller as a process.

use std::process::ExitCode;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::Api;
use runtime::admin::{self, Readiness};
use runtime::instance;
use runtime::process::{self, EXIT_FAILED, EXIT_USAGE, fail};
use runtime::shutdown::run_until_signalled;
use runtime::tasks::{OnExit, Tasks};
use runtime::telemetry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::args::RunArgs;
use crate::build::Release;
use crate::build::names::FIELD_MANAGER;
use crate::controller::{self, Where};
use crate::leader::{self, Election};
use crate::leave::home::let_go_at_home;
use crate::metrics::Metrics;

/// How long a stop may take: giving the Lease up.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// And to let go of feeds, where its namespace is being removed: both within the 15 s that the chart gives its pods.
const PART_MAX: Duration = Duration::from_secs(8);

pub(crate) fn main(args: RunArgs) -> ExitCode {
    let log = args.log.clone();
    process::run(&log, serve(args))
}

async fn serve(args: RunArgs) -> ExitCode {
    let RunArgs {
        place,
        shard_linger,
        release,
        admin,
        log: _,
    } = args;
    let client = match crate::client::infer().await {
        Ok(client) => client,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let (tasks, shutdown) = Tasks::new(FIELD_MANAGER);
    let shown = telemetry::Metrics::new();
    let metrics = shown.register(Metrics::register);
    if let Some(address) = admin.admin_listen {
        // One that waits for the Lease is as it should be.
        let routes = admin::router(Readiness::new(shutdown.clone()), shown);
        match TcpListener::bind(address).await {
            Ok(listener) => {
                tasks.spawn_to_the_end("admin", OnExit::Log, admin::serve(listener, routes));
            }
            Err(error) => return fail(EXIT_USAGE, &format!("cannot listen on {address}: {error}")),
        }
    }
    let release = Release::from(release);
    let place = Where::from(place);
    let lease = place.lease();
    let leases: Api<Lease> = Api::namespaced(client.clone(), &release.namespace);
    let home = (client.clone(), release.namespace.clone(), place.clone());
    let instance = instance::unique(None, FIELD_MANAGER);
    let election = Election::new(lease, instance.clone());
    let (leads, mut led) = watch::channel(false);
    tasks.spawn(
        "leader",
        OnExit::StopAll,
        leader::run(leases, election, leads, shutdown),
    );
    tasks.spawn_until_stop("controller", OnExit::StopAll, async move {
        // When nobody says so any more, the process ends.
        if led.wait_for(|leads| *leads).await.is_ok() {
            metrics.handle_leads(true);
            controller::run(client, place, release, metrics, &instance, shard_linger).await;
        }
    });
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "waiting for the lease");
    match run_until_signalled(tasks, DRAIN_MAX).await {
        Ok(()) => {
            let (client, home, place) = home;
            part(&client, &home, &place).await;
            ExitCode::SUCCESS
        }
        Err(error) => fail(EXIT_FAILED, &error),
    }
}

/// The last of what it does. A stop has another reason most of the time, and is not held up.
async fn part(client: &Client, home: &str, place: &Where) {
    let parted = let_go_at_home(client, home, place);
    match tokio::time::timeout(PART_MAX, parted).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "feeds of its own namespace may wait for an operator");
        }
        Err(_) => {
            tracing::debug!("the API server does not say whether its namespace is being removed");
        }
    }
}
