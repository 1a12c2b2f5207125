// Pure: one stretch of a trace, as it is sent to the collector.
#![deny(clippy::disallowed_methods)]

use std::num::NonZeroU64;
use std::time::SystemTime;

use super::trace::TraceContext;

/// One stretch of a trace. It is made when it is over, so that nothing is kept open on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What was done: `exchange.receive`, `bar.publish`.
    pub name: &'static str,
    /// Its place among the processes.
    pub kind: SpanKind,
    /// The trace, and its own number.
    pub context: TraceContext,
    /// The span that it is part of; `None` for a trace's first.
    pub parent: Option<NonZeroU64>,
    /// When it began.
    pub start: SystemTime,
    /// When it was over.
    pub end: SystemTime,
    /// What it was done to, in the words of topics, metrics and logs. Each key once.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it came to nothing, if so.
    pub error: Option<String>,
}

/// Where a span stands between processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Inside one.
    Internal,
    /// It sent a message that another process's span goes on from.
    Producer,
    /// It took such a message; its parent is another process's span.
    Consumer,
}

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number, with its unit in the key.
    Int(i64),
    /// Yes or no.
    Bool(bool),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u64> for Value {
    /// Saturates: OTLP has no unsigned numbers.
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl Span {
    /// A trace's first span.
    #[must_use]
    pub fn root(name: &'static str, context: TraceContext, start: SystemTime) -> Self {
        Self {
            name,
            kind: SpanKind::Internal,
            context,
            parent: None,
            start,
            end: start,
            attributes: Vec::new(),
            error: None,
        }
    }

    /// A span below another. `context` is its own, of the parent's trace.
    #[must_use]
    pub fn child(
        name: &'static str,
        context: TraceContext,
        parent: TraceContext,
        start: SystemTime,
    ) -> Self {
        Self {
            parent: Some(parent.span_id),
            ..Self::root(name, context, start)
        }
    }

    /// Says where it stands between processes.
    #[must_use]
    pub fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((key, value.into()));
        self
    }

    /// Says that it came to nothing, if there is a reason.
    #[must_use]
    pub fn failed(mut self, why: Option<String>) -> Self {
        self.error = why;
        self
    }

    /// Says when it was over. A wall clock may have been set back meanwhile: then it took no time.
    #[must_use]
    pub fn until(mut self, end: SystemTime) -> Self {
        self.end = end.max(self.start);
        self
    }
}
