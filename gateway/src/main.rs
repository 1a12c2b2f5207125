//! The `marketfeed-gateway` binary: parse, telemetry, bind, run.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use gateway::{Options, Service, ServiceError, http};
use runtime::admin::{self, Readiness};
use runtime::args::parse_or_exit;
use runtime::broker::Broker;
use runtime::broker::nats::{NatsBroker, NatsOptionsError};
use runtime::instance;
use runtime::process::{self, EXIT_FAILED, EXIT_REFUSED, EXIT_USAGE, fail};
use runtime::shutdown::{Shutdown, run_until_signalled_then};
use runtime::tasks::{OnExit, Tasks};
use runtime::telemetry::Metrics;
use runtime::telemetry::otlp::{Identity, TraceError, Traces};

use crate::args::{Args, Cli};

/// The command line.
mod args;

/// The bus that bars come by.
mod bus;

/// `marketfeed-gateway probe`.
mod probe;

fn main() -> ExitCode {
    match parse_or_exit() {
        Cli::Serve(args) => process::run(&args.log.clone(), serve(*args)),
        Cli::Probe(args) => probe::main(args),
    }
}

/// 0 after a stop that was asked for, 2 when it cannot start as asked, 3 when NATS refuses it for good, 1 when it failed
/// later.
async fn serve(args: Args) -> ExitCode {
    let (tasks, shutdown) = Tasks::new("marketfeed-gateway");
    let stop_max = Options::from(&args).stop_max();
    let started = match start(&args, &tasks, &shutdown).await {
        Ok(started) => started,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let Started {
        address,
        admin_address,
        bus,
        traces,
    } = started;
    let rest = async {
        bus.drain().await;
        traces.stop().await;
    };
    let mut run = pin!(run_until_signalled_then(tasks, stop_max, rest));
    // Polled once, it has its signal handlers: who reads the lines below may connect, and may stop it.
    let ended = tokio::select! {
        biased;
        ended = &mut run => ended,
        () = std::future::ready(()) => {
            say(address, admin_address);
            tokio::select! {
                ended = &mut run => ended,
                error = bus.failed() => return fail(EXIT_REFUSED, &error),
            }
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_FAILED, &error),
    }
}

/// A closed stdout is no reason to stop.
fn say(address: SocketAddr, admin_address: Option<SocketAddr>) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "marketfeed-gateway is at http://{address}/");
    if let Some(admin) = admin_address {
        let _ = writeln!(stdout, "its admin endpoints are at http://{admin}/");
    }
}

/// Why it cannot start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Bus(#[from] NatsOptionsError),
    #[error(transparent)]
    Traces(#[from] TraceError),
    #[error(transparent)]
    Gateway(#[from] ServiceError),
    #[error("cannot listen on {address}: {source}")]
    Admin {
        address: SocketAddr,
        source: std::io::Error,
    },
}

/// What runs.
struct Started {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    bus: Arc<NatsBroker>,
    traces: Traces,
}

/// Takes the addresses and starts everything in the group.
async fn start(args: &Args, tasks: &Tasks, shutdown: &Shutdown) -> Result<Started, StartError> {
    let metrics = Metrics::new();
    let readiness = Readiness::new(shutdown.clone());
    let listener = args.admin.admin_listen.map(listen_admin).transpose()?;
    let identity = Identity {
        service: "marketfeed-gateway".to_owned(),
        instance: instance::unique(None, "marketfeed-gateway"),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let traces = Traces::start(&args.trace, 0, &identity, &metrics)?;
    let bus = bus::connect(args, &metrics)?;
    let options = Options {
        tracer: traces.tracer(),
        ..Options::from(args)
    };
    let reached = readiness.condition("nats");
    let broker: Arc<dyn Broker> = bus.clone();
    let service = metrics
        .register(|registry| Service::bind(options, broker, axum::Router::new(), registry))?
        .with_api()
        .with_ready(readiness.condition("gateway"));
    let address = service.local_addr();
    let admin_address = listener.as_ref().map(|(_, address)| *address);
    if let Some((listener, _)) = listener {
        let router = admin::router(readiness, metrics).merge(http::admin(service.handle()));
        tasks.spawn_to_the_end("admin", OnExit::StopAll, admin::serve(listener, router));
    }
    tasks.spawn("gateway", OnExit::StopAll, service.run(shutdown.clone()));
    // Before that it has nothing to serve, and clients are better off elsewhere.
    tasks.spawn_to_the_end("ready", OnExit::Log, bus.clone().hold_ready(reached));
    Ok(Started {
        address,
        admin_address,
        bus,
        traces,
    })
}

fn listen_admin(address: SocketAddr) -> Result<(tokio::net::TcpListener, SocketAddr), StartError> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        Ok((tokio::net::TcpListener::from_std(listener)?, bound))
    };
    listen().map_err(|source| StartError::Admin { address, source })
}
