//! The `marketfeed` binary: parse, telemetry, build, run.

use std::io::Write;
use std::pin::pin;
use std::process::ExitCode;

use runtime::args::parse_adjusted_or_exit;
use runtime::process::{self, EXIT_FAILED, EXIT_USAGE, fail};
use runtime::shutdown::run_until_signalled;
use runtime::tasks::Tasks;
use standalone::args::{Cli, Command};
use standalone::page;
use standalone::up::{DRAIN_MAX, Options, Service};
use standalone::variables::without_unmeant;

fn main() -> ExitCode {
    let Cli {
        command: Command::Up(up),
    } = parse_adjusted_or_exit(|command, words| {
        without_unmeant(command, words, |name| std::env::var_os(name).is_some())
    });
    let log = up.log.clone();
    process::run(&log, serve((*up).into()))
}

/// 0 after a stop that was asked for, 2 when it cannot start as asked, 1 when it failed later.
async fn serve(options: Options) -> ExitCode {
    let (tasks, shutdown) = Tasks::new("marketfeed");
    let service = match Service::bind(options, &shutdown).await {
        Ok(service) => service,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    if !page::is_built() {
        tracing::warn!("the chart page is not in this binary; `cargo xtask demo` builds it");
    }
    let address = service.local_addr();
    service.start(&tasks);
    let mut run = pin!(run_until_signalled(tasks, DRAIN_MAX));
    // Polled once, it has its signal handlers: who reads the line below may connect, and may stop it.
    let ended = tokio::select! {
        biased;
        ended = &mut run => ended,
        () = std::future::ready(()) => {
            // A closed stdout is no reason to stop.
            let _ = writeln!(std::io::stdout(), "marketfeed is at http://{address}/");
            // A stop takes a moment; who asked for it at a terminal sees at once that it was heard. It is looked at
            // first, as a stop of a small market may be over as soon as it was asked for.
            tokio::select! {
                biased;
                () = shutdown.requested() => {
                    let _ = writeln!(std::io::stdout(), "stopping; Ctrl-C again stops at once");
                    run.await
                }
                ended = &mut run => ended,
            }
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_FAILED, &error),
    }
}
