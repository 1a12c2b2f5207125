//! What a shard's connections ask of the log, and what it answers.

use super::{Shard, queue};
use crate::hub::ConnId;
use crate::outbox::replay::{Answer, Ask};
use crate::replayer::{Asker, Question, Reply};

impl Shard {
    /// Hands the log's answer to the connection that asked.
    pub(super) fn handle_reply(&mut self, Reply { to, answer }: Reply) {
        let key = to.key as usize;
        // Whoever asked may have left, and another may have its place.
        if let Some(conn) = self.conns.get_mut(key).filter(|conn| conn.id == to.id) {
            conn.outbox.handle_answer(answer);
            queue(&mut self.visits, conn, key);
        }
    }

    /// Passes on what connections ask of the log; one that cannot be asked for has its answer.
    pub(super) fn ask(&mut self, key: ConnId, asks: &mut Vec<Ask>) {
        for Ask { topic, from, max } in asks.drain(..) {
            let Some(conn) = self.conns.get_mut(key as usize) else {
                continue;
            };
            let asker = Asker {
                shard: self.place.index,
                key,
                id: conn.id,
            };
            let put = self
                .hub
                .instrument(topic)
                .is_some_and(|(instrument, interval)| {
                    self.questions.put(Question {
                        from: asker,
                        topic: self.hub.topic(topic).clone(),
                        instrument,
                        interval,
                        close_no: from,
                        max,
                    })
                });
            if !put {
                conn.outbox.handle_answer(Answer::Unavailable);
                self.again.push(key);
            }
        }
    }
}
