//! Pure: the native dialect. A request changes what a connection listens to and is answered; a bad one is
//! answered with a code, and the connection goes on.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

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

/// One request's way through: the connection, and what it changes.
pub(crate) struct Session<'a> {
    pub(crate) conn: ConnId,
    pub(crate) hub: &'a mut Hub,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) limits: Limits,
}

type Asked = Vec<Result<TopicFilter, BadTopic>>;

impl Session<'_> {
    /// Takes one text message. Several requests may share it, one a line.
    pub(crate) fn handle_text(&mut self, text: &str) {
        let mut lines = text.split('\n').filter(|line| !line.trim().is_empty());
        let first = lines.next().unwrap_or(text);
        self.handle_line(first);
        for line in lines {
            self.handle_line(line);
        }
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
        let mut accepted: Vec<(TopicFilter, Vec<TopicId>)> = Vec::new();
        let mut refused = Vec::new();
        // What has been accepted of this request counts too: topics that are new to the connection.
        let mut taken = self.outbox.topics().len() + self.hub.wildcards(self.conn).len();
        for asked in asked {
            match self.check(asked, &mut taken) {
                Ok((filter, _)) if accepted.iter().any(|(known, _)| *known == filter) => {}
                Ok(found) => accepted.push(found),
                Err((code, message, topic)) => refused.push(error(id, code, message, Some(topic))),
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

    /// Reads one asked topic, and counts what it adds.
    fn check(
        &self,
        asked: Result<TopicFilter, BadTopic>,
        taken: &mut usize,
    ) -> Result<(TopicFilter, Vec<TopicId>), (ErrorCode, String, String)> {
        let filter = readable(asked)?;
        let topics = self.hub.matching(&filter);
        if topics.is_empty() && !filter.is_wildcard() {
            let message = "not carried here; see GET /api/v1/topics".to_owned();
            return Err((ErrorCode::UnknownTopic, message, filter.to_string()));
        }
        let fresh = topics.iter().filter(|topic| !self.outbox.has(**topic));
        let wildcard_is_new =
            filter.is_wildcard() && !self.hub.wildcards(self.conn).contains(&filter);
        let more = fresh.count() + usize::from(wildcard_is_new);
        let max = self.limits.subscriptions_max;
        if more > 0 && *taken + more > max {
            let message = format!("at most {max} topics a connection; this one has {taken}");
            return Err((ErrorCode::TooManyTopics, message, filter.to_string()));
        }
        *taken += more;
        Ok((filter, topics))
    }

    /// Leaves every topic that the filters stand for, however it was subscribed to.
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
            self.hub.remove_wildcard(self.conn, filter);
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
            return self.listen(topic, None);
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

fn readable(
    asked: Result<TopicFilter, BadTopic>,
) -> Result<TopicFilter, (ErrorCode, String, String)> {
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
