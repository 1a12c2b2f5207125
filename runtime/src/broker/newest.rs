// Pure: the last open bar of each subject, and a mailbox that keeps only the newest.
#![deny(clippy::disallowed_methods)]

use indexmap::IndexMap;
use indexmap::map::Entry;
use wire::{Subject, SubjectFilter};

use super::BarMessage;

/// The newest open bar of each subject, in the order in which the subjects first came. It serves
/// both as the bus's last values and, emptied at each drain, as a subscriber's mailbox: the number
/// of subjects bounds both.
#[derive(Debug, Default)]
pub(in crate::broker) struct Newest {
    bars: IndexMap<Subject, BarMessage>,
}

impl Newest {
    /// Keeps the bar if it is newer than the one held, and says whether it was.
    pub(in crate::broker) fn handle_bar(&mut self, message: &BarMessage) -> bool {
        match self.bars.entry(message.subject.clone()) {
            Entry::Vacant(free) => {
                free.insert(message.clone());
                true
            }
            Entry::Occupied(mut held) => {
                let newer = message.bar.open_order() > held.get().bar.open_order();
                if newer {
                    held.insert(message.clone());
                }
                newer
            }
        }
    }

    pub(in crate::broker) fn holds(&self, subject: &Subject) -> bool {
        self.bars.contains_key(subject)
    }

    pub(in crate::broker) fn len(&self) -> usize {
        self.bars.len()
    }

    /// What the filter stands for.
    pub(in crate::broker) fn matching(
        &self,
        filter: &SubjectFilter,
    ) -> impl Iterator<Item = &BarMessage> {
        self.bars
            .values()
            .filter(move |message| filter.matches(&message.subject))
    }

    /// Moves everything out; says whether there was anything.
    pub(in crate::broker) fn poll_drain(&mut self, into: &mut Vec<BarMessage>) -> bool {
        let before = into.len();
        into.extend(self.bars.drain(..).map(|(_, message)| message));
        into.len() > before
    }
}
