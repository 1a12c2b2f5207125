//! Pure: the native dialect. A request changes what a connection listens to and is answered; a bad one is
//! answered with a code, and the connection goes on.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};

use wire::frame::{BadTopic, ClientOp, ErrorCode, Reply, Request};
use wire::{Topic, TopicFilter};

use crate::hub::{ConnId, Hub, TopicId};
use crate::outbox::Outbox;

/// What bounds one connection's requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Topics in one request, and in `after`.
    pub(crate) request_topics_max: usize,
    /// Topics and wildcards of one connection.
    pub(crate) subscriptions_max: usize,
}

/// Requests in one message. A client that has more to ask has more messages, between which the shard turns to
/// others; 64 requests of 500 topics would be more than a message's 64 KiB anyway.
pub(crate) const REQUESTS_MAX: usize = 64;

/// Unsent replies above which no further request is read: as much as one frame takes. One request adds less than
/// another 200 KB (500 topics, each with an error), so that a client that asks and does not listen costs no more
/// than the sum.
pub(crate) const REPLIES_LEN_MAX: usize = 64 * 1024;

/// One request's way through: the connection, and what it changes.
pub(crate) struct Session<'a> {
    pub(crate) conn: ConnId,
    pub(crate) hub: &'a mut Hub,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) limits: Limits,
}

type Asked = Vec<Result<TopicFilter, BadTopic>>;

/// Why one topic of a request is refused: a code, a sentence, the topic.
type Refused = (ErrorCode, String, String);

/// A subscribe request while it is read: what has been accepted of it counts too.
struct Asking {
    /// Every filter seen, so that each is looked at once.
    filters: BTreeSet<TopicFilter>,
    /// Topics that the connection has without it.
    held: usize,
    /// Topics that it adds; filters may overlap.
    fresh: BTreeSet<TopicId>,
    /// The connection's wildcards, those that it adds included.
    wildcards: BTreeSet<TopicFilter>,
}

impl Asking {
    fn new(held: usize, wildcards: &[TopicFilter]) -> Self {
        Self {
            filters: BTreeSet::new(),
            held,
            fresh: BTreeSet::new(),
            wildcards: wildcards.iter().cloned().collect(),
        }
    }

    fn taken(&self) -> usize {
        self.held + self.fresh.len() + self.wildcards.len()
    }
}

impl Session<'_> {
    /// Takes one text message. Several requests may share it, one a line, up to a bound; what is beyond is
    /// refused together.
    pub(crate) fn handle_text(&mut self, text: &str) {
        let mut lines = text.split('\n').filter(|line| !line.trim().is_empty());
        let first = lines.next().unwrap_or(text);
        self.handle_line(first);
        for (done, line) in (1..).zip(lines) {
            let full = self.outbox.replies_len() >= REPLIES_LEN_MAX;
            if done == REQUESTS_MAX || full {
                return self.refuse_rest(done);
            }
            self.handle_line(line);
        }
    }

    fn refuse_rest(&mut self, done: usize) {
        let message = format!(
            "only the message's first {done} requests were read: at most {REQUESTS_MAX}, and {REPLIES_LEN_MAX} \
             bytes of replies"
        );
        self.outbox
            .reply(&error(None, ErrorCode::BadRequest, message, None));
    }

    fn handle_line(&mut self, line: &str) {
        let Request { id, op } = match Request::decode(line, self.limits.request_topics_max) {
            Ok(request) => request,
            Err(error) => return self.outbox.reply(&error.into()),
        };
        match op {
            ClientOp::Subscribe { topics, after } => self.subscribe(id, topics, &after),
            ClientOp::Unsubscribe { topics } => self.unsubscribe(id, topics),
            ClientOp::List => {
                let topics = Some(self.list());
                self.outbox.reply(&Reply::Ok { id, topics });
            }
            ClientOp::Auth { .. } => {
                let message = "this gateway asks for no token".to_owned();
                self.outbox
                    .reply(&error(id, ErrorCode::Unsupported, message, None));
            }
            ClientOp::Ping => self.outbox.reply(&Reply::Pong { id }),
        }
    }

    /// Answers first, so that the `ok` stands before the snapshots.
    fn subscribe(&mut self, id: Option<u64>, asked: Asked, after: &BTreeMap<Topic, u64>) {
        if let Some(stray) = after.keys().find(|topic| !covers(&asked, topic)) {
            let message = format!("after names {stray}, which this request does not subscribe to");
            return self
                .outbox
                .reply(&error(id, ErrorCode::BadAfter, message, None));
        }
        let mut asking = Asking::new(self.outbox.topics().len(), self.hub.wildcards(self.conn));
        let mut accepted: Vec<(TopicFilter, Vec<TopicId>)> = Vec::new();
        let mut refused = Vec::new();
        for asked in asked {
            match self.check(asked, &mut asking) {
                Ok(Some(found)) => accepted.push(found),
                Ok(None) => {}
                Err((code, message, topic)) => refused.push(error(id, code, message, Some(topic))),
            }
        }
        for topic in after.keys().filter(|topic| self.hub.find(topic).is_none()) {
            // A topic asked for by its name has its error already.
            if asking
                .filters
                .iter()
                .any(|filter| filter.is_wildcard() && filter.matches(topic))
            {
                let message = "not carried here yet; if it appears, its closes come from the first"
                    .to_owned();
                refused.push(error(
                    id,
                    ErrorCode::BadAfter,
                    message,
                    Some(topic.to_string()),
                ));
            }
        }
        self.answer(id, accepted.iter().map(|(filter, _)| filter), &refused);
        for (filter, topics) in &accepted {
            if filter.is_wildcard() {
                self.hub.add_wildcard(self.conn, filter);
            }
            for topic in topics {
                let after = after.get(self.hub.topic(*topic)).copied();
                self.listen(*topic, after);
            }
        }
    }

    /// Reads one asked topic, and counts what it adds; `None` for one that this request had already.
    fn check(
        &self,
        asked: Result<TopicFilter, BadTopic>,
        asking: &mut Asking,
    ) -> Result<Option<(TopicFilter, Vec<TopicId>)>, Refused> {
        let filter = readable(asked)?;
        // Before the topics are searched, which for a wildcard means to look at each.
        if !asking.filters.insert(filter.clone()) {
            return Ok(None);
        }
        let max = self.limits.subscriptions_max;
        let taken = asking.taken();
        let too_many = || {
            let message = format!("at most {max} topics a connection; this one has {taken}");
            (ErrorCode::TooManyTopics, message, filter.to_string())
        };
        let wildcard_is_new = filter.is_wildcard() && !asking.wildcards.contains(&filter);
        if wildcard_is_new && taken >= max {
            return Err(too_many());
        }
        let topics = self.hub.matching(&filter);
        if topics.is_empty() && !filter.is_wildcard() {
            let message = "not carried here; see GET /api/v1/topics".to_owned();
            return Err((ErrorCode::UnknownTopic, message, filter.to_string()));
        }
        let is_fresh = |topic: &TopicId| !self.outbox.has(*topic) && !asking.fresh.contains(topic);
        let fresh: Vec<TopicId> = topics.iter().copied().filter(is_fresh).collect();
        let more = fresh.len() + usize::from(wildcard_is_new);
        if more > 0 && taken + more > max {
            return Err(too_many());
        }
        asking.fresh.extend(fresh);
        if wildcard_is_new {
            asking.wildcards.insert(filter.clone());
        }
        Ok(Some((filter, topics)))
    }

    /// Leaves every topic that the filters stand for, however it was subscribed to, and every wildcard that stands for
    /// none but those.
    fn unsubscribe(&mut self, id: Option<u64>, asked: Asked) {
        let mut accepted: Vec<TopicFilter> = Vec::new();
        let mut refused = Vec::new();
        for asked in asked {
            match readable(asked) {
                Ok(filter) if accepted.contains(&filter) => {}
                Ok(filter) if filter.is_wildcard() || !self.hub.matching(&filter).is_empty() => {
                    accepted.push(filter);
                }
                Ok(filter) => {
                    let topic = Some(filter.to_string());
                    let message = "not carried here".to_owned();
                    refused.push(error(id, ErrorCode::UnknownTopic, message, topic));
                }
                Err((code, message, topic)) => refused.push(error(id, code, message, Some(topic))),
            }
        }
        for filter in &accepted {
            self.hub.remove_wildcards(self.conn, filter);
            for topic in self.hub.matching(filter) {
                if self.outbox.unsubscribe(topic) {
                    self.hub.leave(self.conn, topic);
                }
            }
        }
        self.answer(id, accepted.iter(), &refused);
    }

    /// A topic appeared that one of the connection's wildcards stands for.
    pub(crate) fn handle_joined(&mut self, topic: TopicId) {
        let taken = self.outbox.topics().len() + self.hub.wildcards(self.conn).len();
        if self.outbox.has(topic) || taken < self.limits.subscriptions_max {
            self.outbox.join(topic);
            return self.hub.listen(self.conn, topic);
        }
        let max = self.limits.subscriptions_max;
        let message = format!("appeared, but a connection may have {max} topics");
        let name = self.hub.topic(topic).to_string();
        self.outbox
            .reply(&error(None, ErrorCode::TooManyTopics, message, Some(name)));
    }

    fn listen(&mut self, topic: TopicId, after: Option<u64>) {
        self.outbox.subscribe(self.hub, topic, after);
        self.hub.listen(self.conn, topic);
    }

    fn list(&self) -> Vec<String> {
        let wildcards = self
            .hub
            .wildcards(self.conn)
            .iter()
            .map(ToString::to_string);
        let topics = self
            .outbox
            .topics()
            .map(|topic| self.hub.topic(topic).to_string());
        wildcards.chain(topics).collect()
    }

    /// One `ok` for what was done, unless nothing was; then one `error` for each refusal.
    fn answer<'f>(
        &mut self,
        id: Option<u64>,
        done: impl Iterator<Item = &'f TopicFilter>,
        refused: &[Reply],
    ) {
        let topics: Vec<String> = done.map(ToString::to_string).collect();
        if !topics.is_empty() {
            let topics = Some(topics);
            self.outbox.reply(&Reply::Ok { id, topics });
        }
        for reply in refused {
            self.outbox.reply(reply);
        }
    }
}

fn readable(asked: Result<TopicFilter, BadTopic>) -> Result<TopicFilter, Refused> {
    asked.map_err(|bad| (ErrorCode::BadTopic, bad.error.to_string(), bad.text))
}

fn covers(asked: &Asked, topic: &Topic) -> bool {
    asked.iter().flatten().any(|filter| filter.matches(topic))
}

fn error(id: Option<u64>, code: ErrorCode, message: String, topic: Option<String>) -> Reply {
    Reply::Error {
        id,
        code,
        message,
        topic,
    }
}

#[cfg(test)]
mod tests;
