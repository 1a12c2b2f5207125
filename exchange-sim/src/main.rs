//! The exchange simulator as a process.

/// Flags, checked.
mod args;

use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Command};
use exchange_sim::Service;
use runtime::shutdown;
use runtime::tasks::{OnExit, Tasks};

/// Requests in flight at a stop get this long, connections are cut at once.
const DRAIN_MAX: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> ExitCode {
    let service = match bind().await {
        Ok(service) => service,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    tracing::info!(address = %service.local_addr(), venues = ?service.handle().venues(), "listening");
    let (tasks, stop) = Tasks::new("process");
    tasks.spawn("exchange-sim", OnExit::StopAll, service.run(stop));
    match shutdown::run_until_signalled(tasks, DRAIN_MAX).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bind() -> anyhow::Result<Service> {
    let Args {
        command: Command::Serve(serve),
    } = runtime::args::parse_or_exit();
    runtime::telemetry::init(serve.log())?;
    Ok(Service::bind(serve.into_options()?).await?)
}
