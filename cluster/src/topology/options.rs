// Pure: what a topology is made of, and the flags of each of its parts.
#![deny(clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What a topology is made of. The default is what `deploy/compose.yaml` has.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where configuration, data and logs go and stay; a temporary folder if none.
    pub folder: Option<PathBuf>,
    /// Venues and their symbols, all made up by the simulator. No symbol twice: each has its short topic then.
    pub sources: Vec<(String, Vec<String>)>,
    /// Trades a second over all symbols.
    pub rate: u32,
    /// What the market is made from.
    pub seed: u64,
    /// Bar lengths.
    pub intervals: Vec<String>,
    /// Shards.
    pub shards: usize,
    /// Processes a shard: its owner and its standbys.
    pub instances: usize,
    /// Gateways.
    pub gateways: usize,
    /// Whether nginx stands before the gateways.
    pub nginx: bool,
    /// Where nginx listens; any port if none.
    pub listen: Option<SocketAddr>,
    /// The feed's name on the bus.
    pub env: String,
    /// Its region.
    pub region: String,
    /// The processes' `--log`.
    pub log: String,
    /// Whether traces are taken, and where they go.
    pub traces: Option<TraceOptions>,
}

/// Traces of a topology.
#[derive(Debug, Clone)]
pub struct TraceOptions {
    /// The processes' `--otlp-endpoint`.
    pub collector: String,
    /// Of a million frames that bring trades, so many are traced.
    pub samples_per_million: u32,
}

impl Default for Options {
    fn default() -> Self {
        let symbols = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            folder: None,
            sources: vec![
                (
                    "binance-spot".to_owned(),
                    symbols(&["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"]),
                ),
                ("coinbase".to_owned(), symbols(&["BTC-USD", "ETH-USD"])),
            ],
            rate: 300,
            seed: 1,
            intervals: symbols(&["1s", "1m", "1h", "1d"]),
            shards: 2,
            instances: 2,
            gateways: 2,
            nginx: true,
            listen: None,
            env: "local".to_owned(),
            region: "here".to_owned(),
            log: "info".to_owned(),
            traces: None,
        }
    }
}

impl Options {
    /// The short topics of one interval, in the order in which the symbols are listed.
    #[must_use]
    pub fn topics(&self, interval: &str) -> Vec<String> {
        let symbols = self.sources.iter().flat_map(|(_, symbols)| symbols);
        symbols
            .map(|symbol| format!("kline:{interval}:{symbol}"))
            .collect()
    }

    /// The short topics of every interval.
    #[must_use]
    pub fn all_topics(&self) -> Vec<String> {
        let intervals = self.intervals.iter();
        intervals
            .flat_map(|interval| self.topics(interval))
            .collect()
    }

    /// `exchange-sim serve ...`
    pub(super) fn exchange_args(&self, listen: SocketAddr) -> Vec<String> {
        let symbols = self.sources.iter().flat_map(|(venue, symbols)| {
            symbols
                .iter()
                .map(move |symbol| format!("{venue}:{symbol}"))
        });
        let symbols: Vec<_> = symbols.collect();
        words(&[
            "serve",
            "--listen",
            &listen.to_string(),
            "--generate",
            &symbols.join(","),
            "--rate",
            &self.rate.to_string(),
            "--seed",
            &self.seed.to_string(),
            "--start",
            "immediately",
            "--log",
            &self.log,
        ])
    }

    /// `marketfeed-marketdata assign ...`, following the assignment in `from` if there is one.
    pub(super) fn assign_args(
        &self,
        exchange: SocketAddr,
        shards: usize,
        from: Option<&Path>,
        output: &Path,
    ) -> Vec<String> {
        let mut args = words(&["assign"]);
        for (venue, symbols) in &self.sources {
            args.extend(words(&[
                "--source",
                &format!("{venue}={}", symbols.join(",")),
            ]));
            let endpoint = format!("{venue}=ws://{exchange}/{venue},http://{exchange}/{venue}");
            args.extend(words(&["--endpoint", &endpoint]));
        }
        args.extend(words(&["--shards", &shards.to_string()]));
        args.extend(words(&["--intervals", &self.intervals.join(",")]));
        args.extend(words(&["--output", &output.to_string_lossy()]));
        if let Some(from) = from {
            args.extend(words(&["--from", &from.to_string_lossy()]));
        }
        args
    }

    /// `marketfeed-marketdata run ...`
    pub(super) fn marketdata_args(
        &self,
        assignment: &Path,
        shard: usize,
        instance: &str,
        nats: &str,
        admin: SocketAddr,
    ) -> Vec<String> {
        let mut args = words(&["run", "--assignment", &assignment.to_string_lossy()]);
        args.extend(words(&["--shard", &shard.to_string()]));
        args.extend(words(&["--instance", instance]));
        args.extend(self.bus_args(nats, admin));
        args.extend(words(&["--nats-replicas", "3"]));
        if let Some(traces) = &self.traces {
            let samples = traces.samples_per_million.to_string();
            args.extend(words(&["--trace-samples-per-million", &samples]));
        }
        args
    }

    /// `marketfeed-gateway ...`
    pub(super) fn gateway_args(
        &self,
        listen: SocketAddr,
        nats: &str,
        admin: SocketAddr,
    ) -> Vec<String> {
        let mut args = words(&["--listen", &listen.to_string()]);
        args.extend(self.bus_args(nats, admin));
        args
    }

    /// What both kinds of processes take.
    fn bus_args(&self, nats: &str, admin: SocketAddr) -> Vec<String> {
        let mut args = words(&[
            "--env",
            &self.env,
            "--region",
            &self.region,
            "--nats-url",
            nats,
            "--admin-listen",
            &admin.to_string(),
            "--log",
            &self.log,
        ]);
        if let Some(traces) = &self.traces {
            args.extend(words(&["--otlp-endpoint", &traces.collector]));
        }
        args
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_told_what_they_are_to_do() {
        let options = Options::default();
        let at = SocketAddr::from(([127, 0, 0, 1], 9));
        let exchange = options.exchange_args(at).join(" ");
        assert!(exchange.contains("--generate binance-spot:BTC-USDT,binance-spot:ETH-USDT,"));
        let assign = options.assign_args(at, 5, Some(Path::new("/old")), Path::new("/new"));
        let assign = assign.join(" ");
        assert!(assign.contains("--source coinbase=BTC-USD,ETH-USD --endpoint coinbase=ws://127.0.0.1:9/coinbase,http://127.0.0.1:9/coinbase"));
        assert!(assign.ends_with("--shards 5 --intervals 1s,1m,1h,1d --output /new --from /old"));
        let run = options.marketdata_args(Path::new("/new"), 1, "md-1-b", "nats://x", at);
        let run = run.join(" ");
        assert!(run.starts_with("run --assignment /new --shard 1 --instance md-1-b --env local"));
        let gateway = options.gateway_args(at, "nats://x", at).join(" ");
        assert!(!format!("{run} {gateway}").contains("otlp"));
        assert_eq!(options.topics("1m")[4], "kline:1m:BTC-USD");
        assert_eq!(options.all_topics().len(), 24);
    }

    #[test]
    fn both_ends_send_traces_and_the_head_of_the_path_takes_them() {
        let traces = TraceOptions {
            collector: "http://c:1".to_owned(),
            samples_per_million: 7,
        };
        let options = Options {
            traces: Some(traces),
            ..Options::default()
        };
        let at = SocketAddr::from(([127, 0, 0, 1], 9));
        let run = options.marketdata_args(Path::new("/new"), 0, "md-0-a", "nats://x", at);
        let run = run.join(" ");
        assert!(run.contains("--otlp-endpoint http://c:1"), "{run}");
        assert!(run.contains("--trace-samples-per-million 7"), "{run}");
        let gateway = options.gateway_args(at, "nats://x", at).join(" ");
        assert!(gateway.ends_with("--otlp-endpoint http://c:1"), "{gateway}");
    }
}
