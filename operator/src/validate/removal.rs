// Pure: what is needed of a feed that goes.
#![deny(clippy::disallowed_methods)]

use wire::Venue;

use super::{Invalid, ValidFeed, validate};
use crate::spec::{
    AggregationSpec, GatewaySpec, MarketFeed, MarketFeedSpec, MarketdataSpec, SourceSpec,
    TelemetrySpec,
};

/// Checks an object that is deleted. It may have run before a change that made it wrong, and what it has on the bus is removed
/// all the same: where something is wrong, only what that needs is checked, which is whose it is, where NATS is, the image and
/// what market-data pods shall be like. All else is then what any feed may say.
///
/// # Errors
/// With what is wrong of that.
pub fn validate_removal(feed: &MarketFeed) -> Result<ValidFeed, Invalid> {
    validate(feed).or_else(|_| {
        let mut needed = feed.clone();
        let MarketFeedSpec {
            sources,
            intervals,
            aggregation,
            marketdata,
            nats: _,
            gateway,
            network_policies,
            telemetry,
            image: _,
        } = &mut needed.spec;
        *sources = vec![SourceSpec {
            venue: Venue::BINANCE_SPOT.to_owned(),
            endpoints: None,
            symbols: vec!["BTC-USDT".to_owned()],
        }];
        *intervals = vec!["1m".to_owned()];
        *aggregation = AggregationSpec::default();
        *marketdata = MarketdataSpec {
            resources: marketdata.resources.take(),
            pod: marketdata.pod.take(),
            ..MarketdataSpec::default()
        };
        *gateway = GatewaySpec::default();
        *network_policies = None;
        *telemetry = TelemetrySpec::default();
        validate(&needed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

    fn feed(spec: &str) -> MarketFeed {
        let yaml = format!(
            "{{apiVersion: marketfeed.dev/v1alpha1, kind: MarketFeed, metadata: {{name: crypto}}, spec: {spec}}}"
        );
        plan::parse(&yaml, "market").unwrap()
    }

    #[test]
    fn only_what_a_removal_needs_is_checked() {
        let wrong = feed(
            "{sources: [], intervals: [7s], aggregation: {reorderWindow: 1h}, image: other:1, \
             marketdata: {shards: 0, standbys: 9, pod: {nodeSelector: {a: b}}}, gateway: {replicas: -1}, \
             networkPolicies: {adminNamespaces: ['A b']}, telemetry: {log: '???'}, nats: {urls: ['nats://n:1'], environment: e}}",
        );
        assert_eq!(validate(&wrong).unwrap_err().errors().len(), 8);
        let valid = validate_removal(&wrong).unwrap();
        assert_eq!(valid.scope.env.as_str(), "e");
        assert_eq!(valid.nats.urls, ["nats://n:1"]);
        assert_eq!(valid.image.as_deref(), Some("other:1"));
        assert_eq!(valid.marketdata_pods.pod.node_selector["a"], "b");
        // One that can run is taken as it is.
        let sources = "[{venue: coinbase, symbols: [BTC-USD]}]";
        let good = feed(&format!(
            "{{sources: {sources}, nats: {{urls: ['nats://n:1']}}, telemetry: {{log: debug}}}}"
        ));
        assert_eq!(validate_removal(&good), validate(&good));
    }

    #[test]
    fn what_a_removal_needs_is() {
        for (spec, path) in [
            (
                "{sources: [], nats: {urls: ['http://n']}}",
                "spec.nats.urls[0]",
            ),
            (
                "{sources: [], nats: {urls: ['nats://n:1']}, image: 'a b'}",
                "spec.image",
            ),
        ] {
            let error = validate_removal(&feed(spec)).unwrap_err();
            let paths: Vec<&str> = error.errors().iter().map(|one| &one.path[..]).collect();
            assert_eq!(paths, [path]);
        }
    }
}
