//! `marketfeed-operator run`: the controller as a process.

use std::process::ExitCode;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
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
use crate::metrics::Metrics;

/// How long a stop may take: giving the Lease up.
const DRAIN_MAX: Duration = Duration::from_secs(5);

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
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_FAILED, &error),
    }
}
