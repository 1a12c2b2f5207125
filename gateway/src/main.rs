//! The `marketfeed-gateway` binary: parse, telemetry, bind, run.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::process::ExitCode;

use gateway::{Options, Service, ServiceError, http};
use runtime::admin::{self, Readiness};
use runtime::args::parse_or_exit;
use runtime::shutdown::{Shutdown, run_until_signalled};
use runtime::tasks::{OnExit, Tasks};
use runtime::telemetry::{self, Metrics};

use crate::args::Args;

/// The command line.
mod args;

/// The bus that bars come by.
mod bus;

fn main() -> ExitCode {
    let args: Args = parse_or_exit();
    if let Err(error) = telemetry::init(&args.log) {
        return fail(2, &error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    runtime.block_on(serve(args))
}

/// 0 after a stop that was asked for, 2 when it cannot start as asked, 1 when it failed later.
async fn serve(args: Args) -> ExitCode {
    let (tasks, shutdown) = Tasks::new("marketfeed-gateway");
    let stop_max = Options::from(&args).stop_max();
    let (address, admin_address) = match start(&args, &tasks, &shutdown).await {
        Ok(addresses) => addresses,
        Err(error) => return fail(2, &error),
    };
    let mut run = pin!(run_until_signalled(tasks, stop_max));
    // Polled once, it has its signal handlers: who reads the lines below may connect, and may stop it.
    let ended = tokio::select! {
        biased;
        ended = &mut run => ended,
        () = std::future::ready(()) => {
            say(address, admin_address);
            run.await
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error),
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
    Bus(#[from] bus::ConnectError),
    #[error(transparent)]
    Gateway(#[from] ServiceError),
    #[error("cannot listen on {address}: {source}")]
    Admin {
        address: SocketAddr,
        source: std::io::Error,
    },
}

/// Takes the addresses and starts everything in the group; says where it listens.
async fn start(
    args: &Args,
    tasks: &Tasks,
    shutdown: &Shutdown,
) -> Result<(SocketAddr, Option<SocketAddr>), StartError> {
    let metrics = Metrics::new();
    let readiness = Readiness::new(shutdown.clone());
    let listener = args.admin.admin_listen.map(listen_admin).transpose()?;
    let broker = bus::connect(args, &metrics, tasks).await?;
    let service = metrics
        .register(|registry| {
            Service::bind(Options::from(args), broker, axum::Router::new(), registry)
        })?
        .with_api()
        .with_ready(readiness.condition("gateway"));
    let address = service.local_addr();
    let admin_address = listener.as_ref().map(|(_, address)| *address);
    if let Some((listener, _)) = listener {
        let router = admin::router(readiness, metrics).merge(http::admin(service.handle()));
        tasks.spawn_to_the_end("admin", OnExit::StopAll, admin::serve(listener, router));
    }
    tasks.spawn("gateway", OnExit::StopAll, service.run(shutdown.clone()));
    Ok((address, admin_address))
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

fn fail(code: u8, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}
