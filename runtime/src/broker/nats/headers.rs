// Pure: the headers of a bar's message. The only place that writes and reads them.
#![deny(clippy::disallowed_methods)]

use async_nats::HeaderMap;

use crate::broker::BarMessage;
use crate::telemetry::{TRACEPARENT, TraceContext};

/// The headers that a bar travels with: none for most, since headers on every message cost more than half of the
/// throughput.
pub(super) fn of_bar(message: &BarMessage) -> Option<HeaderMap> {
    let context = message.trace?;
    let mut headers = HeaderMap::new();
    headers.insert(TRACEPARENT, context.to_header().as_str());
    Some(headers)
}

/// The trace that a message is part of; what is no such header is as good as none.
pub(super) fn trace(headers: Option<&HeaderMap>) -> Option<TraceContext> {
    TraceContext::from_header(headers?.get(TRACEPARENT)?.as_str())
}

#[cfg(test)]
mod tests {
    use wire::{Bar, Candle, Completeness, Instrument, Interval, Scope};

    use super::*;
    use crate::telemetry::new_trace;

    fn message() -> BarMessage {
        let instrument = Instrument::new("coinbase".parse().unwrap(), "BTC-USD".parse().unwrap());
        let bar = Bar {
            topic: "kline:1s:BTC-USD".parse().unwrap(),
            instrument,
            interval: Interval::S1,
            start_ms: 0,
            candle: Candle::flat("1".parse().unwrap()),
            closed: true,
            rev: 0,
            completeness: Completeness::Complete,
            close_no: 1,
            epoch: 1,
            seq: 0,
            event_time_ms: 0,
            publish_time_ms: 0,
        };
        BarMessage::new(&Scope::new("test", "eu").unwrap(), bar)
    }

    #[test]
    fn only_a_sampled_bar_has_headers_and_its_trace_comes_back() {
        assert!(of_bar(&message()).is_none());
        assert_eq!(trace(None), None);
        let context = new_trace();
        let headers = of_bar(&message().with_trace(Some(context)));
        assert_eq!(trace(headers.as_ref()), Some(context));
        let mut garbage = HeaderMap::new();
        garbage.insert(TRACEPARENT, "00-xyz");
        assert_eq!(trace(Some(&garbage)), None);
    }
}
