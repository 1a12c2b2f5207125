//! What a shard does with closes, and when they are of another log than before.

use std::collections::VecDeque;

use runtime::broker::BarMessage;

use super::{Shard, queue};
use crate::hub::Taken;

impl Shard {
    pub(super) fn handle_closes(&mut self, closes: VecDeque<BarMessage>) {
        for message in closes {
            let taken = self.hub.handle_close(&message.bar, &message.json);
            let traced = &mut self.work.traced;
            traced.handle_taken(&mut self.hub, &message, taken);
            self.count_once(taken);
        }
    }

    /// What comes next is of another log. What has come of the old one is written first, to whoever can be written to.
    pub(super) fn handle_other_log(&mut self) {
        self.spread();
        self.visit();
        self.hub.handle_other_log();
        for (key, conn) in &mut self.conns {
            conn.outbox.handle_other_log();
            queue(&mut self.visits, conn, key);
        }
    }

    /// Every shard's hub takes every bar and decides alike, so that one of them counts for all.
    pub(super) fn count_once(&self, taken: Taken) {
        if self.place.index == 0 {
            self.metrics.taken(taken);
        }
    }
}
