// Pure: one bar on its way, with its address and its text.
#![deny(clippy::disallowed_methods)]

use std::sync::Arc;

use bytes::Bytes;
use wire::subject::Kind;
use wire::{Bar, Scope, Subject};

use super::error::DecodeError;
use crate::telemetry::TraceContext;

/// One bar on its way: decoded once and encoded once, then shared by whoever holds it. Its three
/// parts agree, which is why only the constructors here can make one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BarMessage {
    /// Open for an open bar, committed for a close or an amendment.
    pub subject: Subject,
    /// The bar.
    pub bar: Arc<Bar>,
    /// The bar's text, under the topic that the bar names.
    pub json: Bytes,
    /// The trace that it is part of, where it is sampled. It travels beside the text, not in it: on NATS as a header.
    pub trace: Option<TraceContext>,
}

impl BarMessage {
    /// Addresses and encodes a bar: to the open bars if it is open, to the committed closes if not.
    #[must_use]
    pub fn new(scope: &Scope, bar: Bar) -> Self {
        Self {
            subject: Subject::new(kind_of(&bar), scope, &bar.instrument, bar.interval),
            json: Bytes::from(bar.encode()),
            bar: Arc::new(bar),
            trace: None,
        }
    }

    /// The same bar, as part of a trace or of none.
    #[must_use]
    pub fn with_trace(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }

    /// Reads a bar from the bus; its text is kept as it came.
    ///
    /// # Errors
    /// When it is not a bar, or not one of the subject's.
    pub fn decode(subject: Subject, json: Bytes) -> Result<Self, DecodeError> {
        let bar = Bar::decode(&json)?;
        let agrees = subject.kind == kind_of(&bar)
            && subject.instrument == bar.instrument
            && subject.interval == bar.interval;
        if !agrees {
            return Err(DecodeError::OtherSubject {
                subject: subject.to_string(),
            });
        }
        Ok(Self {
            subject,
            bar: Arc::new(bar),
            json,
            trace: None,
        })
    }
}

/// A close with its place in the log.
#[derive(Debug, Clone)]
pub struct SequencedClose {
    /// Its place in the log: rises with each close, not by one (checkpoints and other topics have places too). What a
    /// reader resumes by.
    pub sequence: u64,
    /// The close.
    pub message: BarMessage,
}

fn kind_of(bar: &Bar) -> Kind {
    if bar.closed {
        Kind::Committed
    } else {
        Kind::Open
    }
}
