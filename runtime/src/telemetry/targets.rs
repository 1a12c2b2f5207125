// Pure: the targets that a log filter may name.
#![deny(clippy::disallowed_methods)]

/// The crates of the project's binaries, and what they are linked with that logs. One that is missing here is logged all
/// the same, after a warning.
const KNOWN: [&str; 19] = [
    "axum",
    "exchange_sim",
    "gateway",
    "h2",
    "hyper",
    "hyper_util",
    "marketdata",
    "marketfeed",
    "marketfeed_gateway",
    "marketfeed_marketdata",
    "opentelemetry",
    "opentelemetry_otlp",
    "opentelemetry_sdk",
    "runtime",
    "standalone",
    "tokio",
    "tonic",
    "tower",
    "wire",
];

/// The client of the bus, where there is one.
#[cfg(feature = "nats")]
const CLIENT: &[&str] = &[crate::broker::nats::CLIENT_LOG];
#[cfg(not(feature = "nats"))]
const CLIENT: &[&str] = &[];

/// The targets of a filter that nothing bears: slips of the pen, by which all else may be silenced. A filter names a
/// target by its beginning.
pub(super) fn unknown(filter: &str) -> Vec<&str> {
    // The fields of spans, between braces, may have commas of their own.
    if filter.contains('{') {
        return Vec::new();
    }
    let targets = filter.split(',').filter_map(|directive| {
        let (target, _) = directive.split_once(['=', '['])?;
        Some(target.trim())
    });
    targets.filter(|target| !is_known(target)).collect()
}

fn is_known(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or_default();
    let mut all = KNOWN.iter().chain(CLIENT);
    all.any(|known| known.starts_with(target) || *known == root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_found() {
        let check = |filter: &str, expect: &[&str]| assert_eq!(unknown(filter), expect, "{filter}");
        check("info", &[]);
        check("warn,gateway=debug", &[]);
        check("gatway=debug", &["gatway"]);
        check(
            "info, gatway=debug,wired=off,runtime::broker=trace",
            &["gatway", "wired"],
        );
        check("marketdata::shard=debug,market=info", &[]);
        check("gateways::hub=debug", &["gateways::hub"]);
        check("gatway[bar]=debug,[bar]=debug", &["gatway"]);
        check("marketdata=info,other_crate=off", &["other_crate"]);
        #[cfg(feature = "nats")]
        check(
            &format!("info,{}=debug", crate::broker::nats::CLIENT_LOG),
            &[],
        );
        check("[bar{a=1,b=2}]=debug", &[]);
    }
}
