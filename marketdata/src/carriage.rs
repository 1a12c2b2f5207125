//! Which instruments are carried just now: counted by connections, read by whoever waits for it.

use std::sync::Arc;

use tokio::sync::watch;

/// Of each instrument, in the listed order, whether its trades come. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Carriage {
    states: Arc<watch::Sender<Vec<Carried>>>,
}

/// Of one instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Carried {
    /// Connections that are subscribed to it.
    pub connections: u32,
    /// Whether the venue refused it, when last asked.
    pub refused: bool,
}

impl Carriage {
    pub(crate) fn new(instruments: usize) -> Self {
        Self {
            states: Arc::new(watch::Sender::new(vec![Carried::default(); instruments])),
        }
    }

    /// There are as many instruments now, those that were there first.
    pub(crate) fn handle_listed(&self, instruments: usize) {
        self.states.send_if_modified(|states| {
            let more = instruments > states.len();
            if more {
                states.resize(instruments, Carried::default());
            }
            more
        });
    }

    /// The instrument is carried no more: nobody waits for it.
    pub(crate) fn handle_dropped(&self, listed: usize) {
        self.states
            .send_modify(|states| states[listed].refused = true);
    }

    /// Whether the instrument is subscribed or refused.
    pub(crate) fn is_settled(&self, listed: usize) -> bool {
        let states = self.states.borrow();
        let settled = |at: &Carried| at.connections > 0 || at.refused;
        states.get(listed).is_some_and(settled)
    }

    pub(crate) fn handle_subscribed(&self, listed: usize) {
        self.states.send_modify(|states| {
            states[listed].connections += 1;
            states[listed].refused = false;
        });
    }

    pub(crate) fn handle_refused(&self, listed: usize) {
        self.states
            .send_modify(|states| states[listed].refused = true);
    }

    pub(crate) fn handle_ended(&self, listed: impl Iterator<Item = usize>) {
        self.states.send_modify(|states| {
            for at in listed {
                states[at].connections = states[at].connections.saturating_sub(1);
            }
        });
    }

    pub(crate) fn states(&self) -> Vec<Carried> {
        self.states.borrow().clone()
    }

    /// Waits until each instrument is subscribed or refused.
    pub(crate) async fn settled(&self) {
        let mut states = self.states.subscribe();
        let settled =
            |states: &Vec<Carried>| states.iter().all(|at| at.connections > 0 || at.refused);
        // We hold the sender, so that it cannot be gone.
        let _ = states.wait_for(settled).await;
    }
}
