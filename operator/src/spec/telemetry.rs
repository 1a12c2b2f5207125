// Pure: logs and traces.
#![deny(clippy::disallowed_methods)]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::written;

/// Logs and traces. Logs are JSON on the containers' standard error; metrics are at :9090/metrics of every pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TelemetrySpec {
    /// Level of the logs: off, error, warn, info, debug or trace, or levels by target, such as info,gateway=debug.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-validations" = written(
            "^[-a-zA-Z0-9_:=,]+$",
            "that is no level: write off, error, warn, info, debug or trace, or levels by target, such as info,gateway=debug",
        ))
    )]
    pub log: String,

    /// The collector that traces are sent to, by OTLP over gRPC: http://host:port, usually port 4317. No traces where
    /// absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 256),
        extend("x-kubernetes-validations" = written(
            "^http://[-a-zA-Z0-9.]+:[0-9]{1,5}$",
            "that is no collector: write http://host:port; the port for gRPC is usually 4317",
        ))
    )]
    pub otlp_endpoint: Option<String>,

    /// Of a million frames from exchanges that bring trades, so many are traced, 0 to 1,000,000: 10000 is 1 %.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub samples_per_million: i32,
}

impl Default for TelemetrySpec {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            otlp_endpoint: None,
            samples_per_million: 10_000,
        }
    }
}
