//! Spans of bars on the bus, which both of its ends make.

use std::time::{Duration, SystemTime};

use super::names::{self, key};
use super::span::{Span, SpanKind};
use super::trace::TraceContext;
use super::tracer::{Tracer, new_child};
use crate::broker::{BarMessage, Broker};

/// The sampled bars of one call of the bus, while it lasts. Without one in it nothing is kept.
#[must_use = "a call's spans are made when it has ended"]
#[derive(Debug)]
pub struct BusCall {
    began: Option<SystemTime>,
    kind: SpanKind,
    name: &'static str,
    /// The span above, and the bar's place.
    parents: Vec<(usize, TraceContext)>,
}

impl BusCall {
    /// Bars are about to be sent: those that are sampled become part of a span of their own, which their receivers
    /// make children of.
    pub fn publish<'a>(
        tracer: &Tracer,
        bars: impl IntoIterator<Item = &'a mut BarMessage>,
    ) -> Self {
        Self::begin(tracer, names::BAR_PUBLISH, SpanKind::Producer, bars)
    }

    /// Bars have come. What the bus kept, for who starts or resumes, is no longer part of its trace: a receipt hours
    /// after the publishing says nothing of either.
    pub fn receive<'a>(
        tracer: &Tracer,
        bars: impl IntoIterator<Item = &'a mut BarMessage>,
    ) -> Self {
        Self::begin(tracer, names::BAR_RECEIVE, SpanKind::Consumer, bars)
    }

    fn begin<'a>(
        tracer: &Tracer,
        name: &'static str,
        kind: SpanKind,
        bars: impl IntoIterator<Item = &'a mut BarMessage>,
    ) -> Self {
        let mut call = Self {
            began: None,
            kind,
            name,
            parents: Vec::new(),
        };
        if !tracer.is_on() {
            return call;
        }
        for (at, bar) in bars.into_iter().enumerate() {
            if kind == SpanKind::Consumer && bar.trace.is_some() && age(bar) > AGE_MAX {
                bar.trace = None;
            }
            if let Some(parent) = bar.trace {
                call.began.get_or_insert_with(SystemTime::now);
                call.parents.push((at, parent));
                bar.trace = Some(new_child(parent));
            }
        }
        call
    }

    /// The call has ended, and in an error if there is one. `bars` are those that it began with.
    pub fn end<'a>(
        self,
        tracer: &Tracer,
        broker: &dyn Broker,
        bars: impl IntoIterator<Item = &'a BarMessage>,
        error: Option<&dyn std::fmt::Display>,
    ) {
        let Some(began) = self.began else {
            return;
        };
        let now = SystemTime::now();
        let mut parents = self.parents.iter().peekable();
        for (at, message) in bars.into_iter().enumerate() {
            let Some((_, parent)) = parents.next_if(|(place, _)| *place == at) else {
                continue;
            };
            let Some(own) = message.trace else {
                continue;
            };
            let span = Span::child(self.name, own, *parent, began)
                .kind(self.kind)
                .with(key::MESSAGING_SYSTEM, broker.system())
                .with(key::MESSAGING_DESTINATION, message.subject.to_string())
                .until(now)
                .failed(error.map(ToString::to_string));
            tracer.record(of_bar(span, message));
        }
    }
}

/// What has been on its way for longer was kept by the bus. More than an outage of the bus that traces should tell of,
/// and more than clocks differ.
const AGE_MAX: Duration = Duration::from_secs(60);

/// Since it was published, by our clock.
fn age(message: &BarMessage) -> Duration {
    let published_ms = u64::try_from(message.bar.publish_time_ms).unwrap_or(0);
    let published = SystemTime::UNIX_EPOCH + Duration::from_millis(published_ms);
    SystemTime::now()
        .duration_since(published)
        .unwrap_or_default()
}

/// Says which bar it is.
fn of_bar(span: Span, message: &BarMessage) -> Span {
    let bar = &message.bar;
    let span = span
        .with(key::TOPIC, bar.topic.to_string())
        .with(key::CLOSED, bar.closed)
        .with(key::CLOSE_NO, bar.close_no)
        .with(key::EPOCH, bar.epoch);
    if bar.closed {
        return span;
    }
    span.with(key::SEQ, bar.seq)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use wire::{Bar, Candle, Completeness, Instrument, Interval, Scope};

    use super::*;
    use crate::broker::memory::MemoryBroker;
    use crate::telemetry::new_trace;

    /// A sampled bar that was published so long ago.
    fn sampled(age: Duration) -> BarMessage {
        let published = SystemTime::now() - age;
        let since_epoch = published.duration_since(SystemTime::UNIX_EPOCH).unwrap();
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
            close_no: 8_812,
            epoch: 7,
            seq: 0,
            event_time_ms: 0,
            publish_time_ms: i64::try_from(since_epoch.as_millis()).unwrap(),
        };
        BarMessage::new(&Scope::new("test", "eu").unwrap(), bar).with_trace(Some(new_trace()))
    }

    #[tokio::test]
    async fn each_sampled_bar_has_a_span_of_its_own_below_what_it_came_with() {
        let (queue, mut spans) = mpsc::channel(10);
        let tracer = Tracer::new(
            1,
            queue,
            prometheus_client::metrics::counter::Counter::default(),
        );
        let plain = sampled(Duration::ZERO).with_trace(None);
        let mut bars = [
            plain.clone(),
            sampled(Duration::ZERO),
            plain,
            sampled(Duration::ZERO),
        ];
        let came: Vec<_> = bars.iter().map(|bar| bar.trace).collect();
        let call = BusCall::publish(&tracer, &mut bars);
        call.end(&tracer, &MemoryBroker::default(), &bars, Some(&"away"));
        for at in [1, 3] {
            let span = spans.try_recv().unwrap();
            let (above, own) = (came[at].unwrap(), bars[at].trace.unwrap());
            assert_eq!((span.parent, span.context), (Some(above.span_id), own));
            assert_eq!(above.trace_id, own.trace_id);
            assert_ne!(above.span_id, own.span_id);
            assert_eq!(span.error.as_deref(), Some("away"));
        }
        assert!(spans.try_recv().is_err());
        assert_eq!((bars[0].trace, bars[2].trace), (None, None));
    }

    #[tokio::test]
    async fn what_the_bus_kept_is_not_followed() {
        let (queue, mut spans) = mpsc::channel(10);
        let tracer = Tracer::new(
            1,
            queue,
            prometheus_client::metrics::counter::Counter::default(),
        );
        let mut bars = [sampled(AGE_MAX * 2), sampled(AGE_MAX / 2)];
        let call = BusCall::receive(&tracer, &mut bars);
        call.end(&tracer, &MemoryBroker::default(), &bars, None);
        assert_eq!(bars[0].trace, None);
        assert_eq!(spans.try_recv().unwrap().context, bars[1].trace.unwrap());
        assert!(spans.try_recv().is_err());
    }
}
