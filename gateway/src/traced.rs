//! Sampled bars until they are first written to a client: the last spans of their traces.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use runtime::broker::BarMessage;
use runtime::telemetry::names::{self, key};
use runtime::telemetry::{Span, TraceContext, Tracer, new_child};
use wire::Bar;

use crate::hub::{Hub, Taken};

/// Texts that wait, in each of two generations. At one bar in a hundred of 20,000 a second it is seconds' worth; of
/// more the newest are not waited for, and their traces end at the gateway's receipt.
const TEXTS_MAX: usize = 4_096;

/// A bar that nobody is sent is forgotten after one to two of these.
const GENERATION_MS: u64 = 1_000;

/// The sampled bars of one shard that no client has been written yet. A text is known by where it is in memory: it is
/// the same for every client, and it is kept here, so that nothing else can be there. Without a sampled bar, each of
/// the calls is a comparison.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    tracer: Tracer,
    young: Generation,
    old: Generation,
    turned_ms: u64,
    next: u64,
}

#[derive(Debug, Default)]
struct Generation {
    /// By the text's address; the bar's number.
    texts: HashMap<usize, (Bytes, u64)>,
    waiting: HashMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    bar: Arc<Bar>,
    /// The gateway's receipt.
    parent: TraceContext,
    began: SystemTime,
}

impl Generation {
    fn take(&mut self, text: &Bytes) -> Option<Waiting> {
        let (_, number) = self.texts.remove(&address(text))?;
        // Its other name's text is forgotten with the generation.
        self.waiting.remove(&number)
    }
}

impl Traced {
    pub(crate) fn new(tracer: Tracer) -> Self {
        Self {
            tracer,
            ..Self::default()
        }
    }

    /// Whether no bar waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.young.waiting.is_empty() && self.old.waiting.is_empty()
    }

    /// The hub took a bar.
    #[inline]
    pub(crate) fn handle_taken(&mut self, hub: &mut Hub, message: &BarMessage, taken: Taken) {
        if let Some(parent) = message.trace
            && self.tracer.is_on()
        {
            self.wait(hub, message, taken, parent);
        }
    }

    fn wait(&mut self, hub: &mut Hub, message: &BarMessage, taken: Taken, parent: TraceContext) {
        if self.young.texts.len() >= TEXTS_MAX {
            return;
        }
        let mut texts = vec![message.json.clone()];
        match taken {
            Taken::Shown => texts.extend(hub.texts_of(&message.bar)),
            // It is shown later, under its own name at least.
            Taken::Held => {}
            Taken::Stale | Taken::Fenced => return,
        }
        self.next += 1;
        let waiting = Waiting {
            bar: Arc::clone(&message.bar),
            parent,
            began: SystemTime::now(),
        };
        self.young.waiting.insert(self.next, waiting);
        for text in texts {
            self.young.texts.insert(address(&text), (text, self.next));
        }
    }

    /// These texts were written to a client; `blocked` if its socket took nothing, so that they wait for it.
    pub(crate) fn handle_written(&mut self, conn_id: u64, texts: &[Bytes], blocked: bool) {
        for text in texts {
            let waiting = self.young.take(text).or_else(|| self.old.take(text));
            if let Some(waiting) = waiting {
                self.end(&waiting, conn_id, blocked);
            }
        }
    }

    fn end(&self, waiting: &Waiting, conn_id: u64, blocked: bool) {
        let now = SystemTime::now();
        let Waiting { bar, parent, .. } = waiting;
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH);
        let now_ms = i64::try_from(since_epoch.unwrap_or_default().as_millis());
        let lag_ms = now_ms
            .unwrap_or(i64::MAX)
            .saturating_sub(bar.publish_time_ms);
        let topic = bar.topic.to_string();
        tracing::debug!(trace_id = %parent.trace_id, topic, conn_id, lag_ms, blocked, "bar written");
        let span = Span::child(names::BAR_WRITE, new_child(*parent), *parent, waiting.began)
            .with(key::TOPIC, topic)
            .with(key::CONN_ID, conn_id)
            .with(key::LAG_MS, lag_ms)
            .with(key::BLOCKED, blocked);
        self.tracer.record(span.until(now));
    }

    /// A pass over the connections is done.
    #[inline]
    pub(crate) fn handle_time(&mut self, now_ms: u64) {
        if now_ms.saturating_sub(self.turned_ms) >= GENERATION_MS {
            self.turned_ms = now_ms;
            self.old = std::mem::take(&mut self.young);
        }
    }
}

fn address(text: &Bytes) -> usize {
    text.as_ptr().addr()
}

#[cfg(test)]
mod tests;
