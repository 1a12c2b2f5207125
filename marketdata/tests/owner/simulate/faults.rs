//! What goes wrong in a schedule, and how it is all put right in the end.

use super::World;
use super::place::Happening;

impl World {
    pub(super) fn fault(&mut self) {
        if self.is_quiet() {
            self.heal();
            return;
        }
        let now_ms = self.now_ms;
        let at = self.rng.usize(0..self.processes.len());
        let for_ms = self.rng.u64(100..7_000);
        let what = self.rng.u32(0..12);
        self.note(|| format!("fault {what} at {at} for {for_ms}"));
        let process = &mut self.processes[at];
        let own_ms = process.own_ms(now_ms);
        match what {
            0 | 1 => {
                self.seen.crashes += u64::from(process.node.is_some());
                self.count(at);
                self.processes[at].node = None;
            }
            2 | 3 if process.node.is_none() => self.start(at),
            2 | 3 => {
                self.seen.pauses += 1;
                process.paused_to_ms = now_ms + for_ms;
            }
            4 => process.cut_from_lease_to_ms = now_ms + for_ms,
            5 => process.cut_from_log_to_ms = now_ms + for_ms,
            6 => {
                process.cut_from_lease_to_ms = now_ms + for_ms;
                process.cut_from_log_to_ms = now_ms + for_ms;
            }
            7 => process.feed_down_to_ms = now_ms + for_ms,
            8 => self.log_away_to_ms = now_ms + for_ms / 2,
            9 => {
                if let Some(node) = &mut process.node {
                    node.is_stopping = true;
                    node.owner.handle_stop(own_ms);
                }
            }
            10 if self.rng.u32(0..4) == 0 => {
                // The bucket is made anew.
                self.leases.clear();
            }
            _ => {
                self.generation = (self.generation + 1).min(self.assignments.len() - 1);
                // Each process has the new file in its own time.
                for process in &mut self.processes {
                    process.file_late_to_ms = now_ms + self.rng.u64(0..5_000);
                }
            }
        }
        let in_ms = self.rng.u64(50..1_500);
        self.plan(in_ms, Happening::Fault);
    }

    /// Everything works again: every place has a process that was not told to stop.
    fn heal(&mut self) {
        self.note(|| "all is well".to_owned());
        for at in 0..self.processes.len() {
            self.count(at);
            let node = self.processes[at].node.as_ref();
            if node.is_none_or(|node| node.is_stopping) {
                self.start(at);
            }
            self.processes[at].next_turn_ms = 0;
            self.plan(0, Happening::Turn(at));
        }
    }
}
