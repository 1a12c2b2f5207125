//! A collector on a thread of its own, and traces that go to it.

use std::thread;

use anyhow::{Context, Result};
use clap::Parser;
use runtime::args::TraceArgs;
use runtime::telemetry::otlp::{Identity, Traces};
use runtime::telemetry::receiver::Receiver;
use runtime::telemetry::{Metrics, Tracer};
use tokio::sync::oneshot;

use super::{Share, joined};
use crate::bus::block_on;

/// Does the work while there is a collector, whose endpoint it is given; none where nothing is sampled.
pub(super) fn beside<T>(share: Share, work: impl FnOnce(Option<&str>) -> Result<T>) -> Result<T> {
    if share.per_million.is_none() {
        return work(None);
    }
    let (tell, told) = oneshot::channel();
    let (done, over) = oneshot::channel::<()>();
    thread::scope(|scope| {
        let collector = scope.spawn(|| {
            block_on(async {
                let receiver = Receiver::start().await?;
                let _ = tell.send(receiver.endpoint());
                // Dropped when the work is done, or has failed.
                let _ = over.await;
                Ok(receiver.stop().await?)
            })
        });
        let endpoint = told.blocking_recv().context("no collector");
        let result = endpoint.and_then(|endpoint| work(Some(&endpoint)));
        drop(done);
        joined(collector).context("the collector")?;
        result
    })
}

/// One side's traces.
pub(super) struct SideTraces {
    traces: Option<Traces>,
    metrics: Metrics,
}

/// Starts them; without an endpoint the tracer is off.
pub(super) fn start(endpoint: Option<&str>, share: Share) -> Result<SideTraces> {
    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        trace: TraceArgs,
    }
    let metrics = Metrics::new();
    let Some(endpoint) = endpoint else {
        return Ok(SideTraces {
            traces: None,
            metrics,
        });
    };
    let args = Args::try_parse_from(["bench", "--otlp-endpoint", endpoint])?;
    let identity = Identity {
        service: "bench".to_owned(),
        instance: "bench".to_owned(),
        version: String::new(),
    };
    let per_million = share.per_million.unwrap_or(0);
    let traces = Traces::start(&args.trace, per_million, &identity, &metrics)?;
    Ok(SideTraces {
        traces: Some(traces),
        metrics,
    })
}

impl SideTraces {
    pub(super) fn tracer(&self) -> Tracer {
        let traces = self.traces.as_ref();
        traces.map_or_else(Tracer::off, Traces::tracer)
    }

    /// Sends what is queued; gives how many spans were sent and how many dropped.
    pub(super) async fn stop(self) -> Result<(u64, u64)> {
        if let Some(traces) = self.traces {
            traces.stop().await;
        }
        let text = self.metrics.encode()?;
        let sum = |name: &str| {
            let lines = text.lines().filter(|line| line.starts_with(name));
            let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
            values.sum()
        };
        Ok((
            sum("marketfeed_spans_exported"),
            sum("marketfeed_spans_dropped"),
        ))
    }
}
