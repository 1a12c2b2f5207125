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
use runtime::telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::args::RunArgs;
use crate::build::Release;
use crate::controller::{self, Where};
use crate::leader::{self, Election};

/// The Lease that is held.
const LEASE: &str = "marketfeed-operator";

/// How long a stop may take: giving the Lease up.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How long the API server may be away.
const API_WAIT: Duration = Duration::from_secs(30);

pub(crate) fn main(args: RunArgs) -> ExitCode {
    let log = args.log.clone();
    process::run(&log, serve(args))
}

async fn serve(args: RunArgs) -> ExitCode {
    let RunArgs {
        watch_namespace,
        release,
        admin,
        log: _,
    } = args;
    let client = match client().await {
        Ok(client) => client,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let (tasks, shutdown) = Tasks::new("marketfeed-operator");
    if let Some(address) = admin.admin_listen {
        // One that waits for the Lease is as it should be.
        let routes = admin::router(Readiness::new(shutdown.clone()), Metrics::new());
        match TcpListener::bind(address).await {
            Ok(listener) => {
                tasks.spawn_to_the_end("admin", OnExit::Log, admin::serve(listener, routes));
            }
            Err(error) => return fail(EXIT_USAGE, &format!("cannot listen on {address}: {error}")),
        }
    }
    let release = Release::from(release);
    let leases: Api<Lease> = Api::namespaced(client.clone(), &release.namespace);
    let election = Election::new(LEASE.to_owned(), instance::unique(None, LEASE));
    let (leads, mut led) = watch::channel(false);
    tasks.spawn(
        "leader",
        OnExit::StopAll,
        leader::run(leases, election, leads, shutdown),
    );
    let place = watch_namespace.map_or(Where::Everywhere, Where::Namespace);
    tasks.spawn_until_stop("controller", OnExit::StopAll, async move {
        // When nobody says so any more, the process ends.
        if led.wait_for(|leads| *leads).await.is_ok() {
            controller::run(client, place, release).await;
        }
    });
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "waiting for the lease");
    match run_until_signalled(tasks, DRAIN_MAX).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_FAILED, &error),
    }
}

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
enum ClientError {
    #[error("there is no cluster: {0}")]
    Infer(#[from] kube::config::InferConfigError),
    #[error("the cluster's configuration cannot be used: {0}")]
    Client(#[from] kube::Error),
}

/// As a pod of the cluster, or by a kubeconfig.
async fn client() -> Result<Client, ClientError> {
    let mut config = kube::Config::infer().await?;
    config.connect_timeout = Some(API_WAIT);
    Ok(Client::try_from(config)?)
}
