//! `marketfeed-marketdata run`.

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use runtime::admin::{self, Readiness, Ready};
use runtime::broker::nats::{NatsBroker, Party};
use runtime::instance;
use runtime::process::{self, EXIT_FAILED, EXIT_REFUSED, EXIT_USAGE, fail};
use runtime::shutdown::{Shutdown, run_until_signalled_then};
use runtime::tasks::{OnExit, TaskError, Tasks};
use runtime::telemetry::Metrics;
use runtime::telemetry::otlp::{Identity, Traces};
use tokio::net::TcpListener;
use tokio::sync::watch;
use wire::{Assignment, Scope};

use super::args::Run;
use super::view::{self, Shown};
use crate::assignment::{AssignmentFile, AssignmentMetrics};
use crate::service::{ConfigError, Hosted, Options, Ownership, Service};

/// How long a stop may take: the shard's last commits and its lease, then the connection to NATS.
const DRAIN_MAX: Duration = Duration::from_secs(8);

/// How much longer a standby waits that does not hear all its instruments yet.
const UNLEVEL_WAIT: Duration = Duration::from_secs(5);

pub(super) fn main(args: Run) -> ExitCode {
    let log = args.log.clone();
    process::run(&log, serve(args))
}

async fn serve(args: Run) -> ExitCode {
    let Run {
        assignment,
        shard,
        instance,
        scope,
        reorder_window,
        update_interval,
        when_full,
        lease_ttl,
        nats,
        trace,
        sample,
        admin,
        log: _,
    } = args;
    let nats = match nats.options(Party::Publisher) {
        Ok(options) => options,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let scope: Scope = scope.scope();
    let instance = instance::unique(instance.as_deref(), "marketfeed-marketdata");
    let mut options = Options::new(Vec::new(), Vec::new(), scope.clone());
    options.reorder_window = reorder_window;
    options.update_interval = update_interval;
    options.when_full = when_full.into();
    options.repair = true;
    options.hosted = Hosted::One(shard);
    options.instance.clone_from(&instance);
    options.ownership = Ownership {
        lease_ttl,
        unlevel_wait: UNLEVEL_WAIT,
    };

    let metrics = Metrics::new();
    let identity = Identity {
        service: "marketfeed-marketdata".to_owned(),
        instance: instance.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let samples = sample.trace_samples_per_million;
    let traces = match Traces::start(&trace, samples, &identity, &metrics) {
        Ok(traces) => traces,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    options.tracer = traces.tracer();
    let (tasks, shutdown) = Tasks::new("marketfeed-marketdata");
    let readiness = Readiness::new(shutdown.clone());
    // Both before anybody can ask.
    let (reached, has_assignment) = (
        readiness.condition("nats"),
        readiness.condition("assignment"),
    );
    let shown: Shown = Arc::new(OnceLock::new());
    if let Some(address) = admin.admin_listen {
        let routes = admin::router(readiness.clone(), metrics.clone()).merge(view::router(
            instance.clone(),
            shard.0,
            Arc::clone(&shown),
        ));
        match TcpListener::bind(address).await {
            Ok(listener) => {
                tasks.spawn_to_the_end("admin", OnExit::Log, admin::serve(listener, routes));
            }
            Err(error) => {
                return fail(EXIT_USAGE, &format!("cannot listen on {address}: {error}"));
            }
        }
    }
    let bus = Arc::new(NatsBroker::connect(scope, nats, &metrics));
    let (file, assigned) = AssignmentFile::new(
        assignment,
        metrics.register(AssignmentMetrics::new),
        shard,
        options.rest_budgets.clone(),
        options.in_log.clone(),
    );
    tasks.spawn("assignment", OnExit::StopAll, file.run(shutdown.clone()));
    tasks.spawn_to_the_end("ready", OnExit::Log, Arc::clone(&bus).hold_ready(reached));
    let shard = ShardProcess {
        options,
        assigned,
        bus: Arc::clone(&bus),
        metrics,
        has_assignment,
        shown,
    };
    tasks.spawn("shard", OnExit::StopAll, shard.run(shutdown));
    tracing::info!(instance, "waiting for the assignment and for NATS");
    let rest = async {
        bus.drain().await;
        traces.stop().await;
    };
    let ended = tokio::select! {
        ended = run_until_signalled_then(tasks, DRAIN_MAX, rest) => ended,
        error = bus.failed() => return fail(EXIT_REFUSED, &error),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_FAILED, &error),
    }
}

struct ShardProcess {
    options: Options,
    assigned: watch::Receiver<Option<Arc<Assignment>>>,
    bus: Arc<NatsBroker>,
    metrics: Metrics,
    has_assignment: Ready,
    shown: Shown,
}

/// Why the shard is not served.
#[derive(Debug, thiserror::Error)]
enum ShardError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Task(#[from] TaskError),
}

impl ShardProcess {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), ShardError> {
        let first = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            // What it gives counts as seen, and nothing newer does: that is carried after it.
            first = self.assigned.wait_for(Option::is_some) => match first {
                Ok(first) => first.clone(),
                // Whoever reads the file has ended, which stops everything.
                Err(_) => return Ok(()),
            }
        };
        let Some(first) = first else {
            return Ok(());
        };
        let service = self.metrics.register(|registry| {
            Service::following(self.options, &first, self.assigned, self.bus, registry)
        })?;
        // Set once, here.
        let _ = self.shown.set(service.handle());
        self.has_assignment.set(true);
        Ok(service.run(shutdown).await?)
    }
}
