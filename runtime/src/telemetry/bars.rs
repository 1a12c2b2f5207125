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
        let kept = |bar: &mut BarMessage| {
            if bar.trace.is_some() && age(bar) > AGE_MAX {
                bar.trace = None;
            }
        };
        let bars = bars.into_iter().map(|bar| {
            kept(bar);
            bar
        });
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
