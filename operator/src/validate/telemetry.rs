// Pure: logs and traces.
#![deny(clippy::disallowed_methods)]

use super::error::Checks;
use crate::spec::TelemetrySpec;

pub(super) fn check(telemetry: &TelemetrySpec, checks: &mut Checks) {
    let TelemetrySpec {
        log,
        otlp_endpoint,
        samples_per_million,
    } = telemetry;
    checks.take(
        "spec.telemetry.log",
        log.parse::<runtime::args::LogFilter>(),
    );
    if let Some(endpoint) = otlp_endpoint {
        let address = endpoint
            .strip_prefix("http://")
            .and_then(|rest| rest.rsplit_once(':'));
        let plain = |host: &str| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
        };
        if !address.is_some_and(|(host, port)| plain(host) && port.parse::<u16>().is_ok()) {
            checks.refuse(
                "spec.telemetry.otlpEndpoint",
                format!("{endpoint:?} is no collector: write http://host:port; the port for gRPC is usually 4317"),
            );
        }
    }
    checks.range(
        "spec.telemetry.samplesPerMillion",
        *samples_per_million,
        0,
        1_000_000,
    );
}
