//! Pure: whether each topic's closes are numbered without a break, as they arrive.
#![deny(clippy::disallowed_methods)]

use std::collections::HashMap;

use wire::Subject;

/// The last `close_no` of each topic; as many as the feed carries.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    last: HashMap<Subject, Last>,
    /// Counts the times that closes were lost on their way, which explains one jump of each topic.
    jumps: u64,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    close_no: u64,
    jumps: u64,
}

/// What a close's number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next one, or the first that came here.
    Next,
    /// Between the one before and this one there are some that never came.
    Break {
        /// The number that should have come.
        expected: u64,
    },
    /// It has come before.
    Duplicate,
}

impl Numbers {
    /// Closes may have been lost between what came before and what comes next.
    pub(crate) fn handle_jump(&mut self) {
        self.jumps += 1;
    }

    /// A close arrived.
    pub(crate) fn handle_close(&mut self, subject: &Subject, close_no: u64) -> Verdict {
        let now = Last {
            close_no,
            jumps: self.jumps,
        };
        let Some(last) = self.last.get_mut(subject) else {
            self.last.insert(subject.clone(), now);
            return Verdict::Next;
        };
        if close_no <= last.close_no {
            return Verdict::Duplicate;
        }
        let before = std::mem::replace(last, now);
        let expected = before.close_no + 1;
        if close_no == expected || before.jumps != now.jumps {
            Verdict::Next
        } else {
            Verdict::Break { expected }
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::broker::BarMessage;
    use wire::Scope;

    use super::*;
    use crate::tests::Stream;

    fn subject(topic: &str) -> Subject {
        BarMessage::new(
            &Scope::new("test", "eu").unwrap(),
            Stream::new(topic).close(),
        )
        .subject
    }

    #[test]
    fn a_number_that_is_left_out_is_a_break_and_one_that_came_is_a_duplicate() {
        let (btc, eth) = (subject("kline:1m:BTC-USDT"), subject("kline:1m:ETH-USDT"));
        let mut numbers = Numbers::default();
        let mut check = |subject: &Subject, close_no, expect| {
            assert_eq!(
                numbers.handle_close(subject, close_no),
                expect,
                "{close_no}"
            );
        };
        check(&btc, 7, Verdict::Next);
        check(&btc, 8, Verdict::Next);
        check(&eth, 1, Verdict::Next);
        check(&btc, 8, Verdict::Duplicate);
        check(&btc, 3, Verdict::Duplicate);
        check(&btc, 11, Verdict::Break { expected: 9 });
        check(&btc, 12, Verdict::Next);
        check(&eth, 2, Verdict::Next);
    }

    #[test]
    fn a_loss_that_is_known_explains_one_jump_of_each_topic() {
        let (btc, eth) = (subject("kline:1m:BTC-USDT"), subject("kline:1m:ETH-USDT"));
        let mut numbers = Numbers::default();
        numbers.handle_close(&btc, 1);
        numbers.handle_close(&eth, 1);
        numbers.handle_jump();
        assert_eq!(numbers.handle_close(&btc, 5), Verdict::Next);
        let next = Verdict::Break { expected: 6 };
        assert_eq!(numbers.handle_close(&btc, 7), next);
        assert_eq!(numbers.handle_close(&eth, 4), Verdict::Next);
        assert_eq!(numbers.handle_close(&eth, 4), Verdict::Duplicate);
    }
}
