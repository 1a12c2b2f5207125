// Pure: one connection's messages on their way out, with what faults do to them.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;

use super::{What, text};

/// What leaves the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A text message that is not UTF-8.
    BrokenText(Vec<u8>),
    /// A close frame with this code, then the end.
    Close(u16),
    /// The end, without a close frame.
    Cut,
}

/// Holds back, reorders and rewrites the messages of one connection.
///
/// Call `handle_message` or `handle_timeout`, then drain `poll_frame`, then wait until `poll_timeout` at most.
#[derive(Debug, Default)]
pub struct Tamper {
    ready: VecDeque<Frame>,
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    frame: Frame,
    until: Until,
}

#[derive(Debug)]
enum Until {
    /// The server's clock.
    Time(u64),
    /// So many more messages.
    Messages(u64),
}

/// Messages that are held at once; beyond it the oldest goes out, late as it is.
const HELD_MAX: usize = 10_000;

impl Tamper {
    /// A message is to go out, struck by these faults. `refusal` is the venue's error message.
    pub fn handle_message(
        &mut self,
        now_ms: u64,
        message: String,
        strikes: &[What],
        refusal: &str,
    ) {
        let mut message = message;
        let mut frame: Option<fn(String) -> Frame> = None;
        let mut until = None;
        let mut copies = 1;
        let mut end = None;
        for what in strikes {
            match what {
                What::Disconnect { code } => end = Some(code.map_or(Frame::Cut, Frame::Close)),
                What::Drop {} | What::Silence { .. } => copies = 0,
                What::Duplicate {} => copies *= 2,
                What::Delay { ms } | What::SlowAck { ms } => {
                    until = Some(Until::Time(now_ms.saturating_add(*ms)));
                }
                What::Reorder { window } => until = Some(Until::Messages(*window)),
                What::CorruptJson {} => message = text::corrupt(&message),
                What::MissingField { field } => message = text::without(&message, field.as_deref()),
                What::OutOfRange { field } => {
                    message = text::out_of_range(&message, field.as_deref());
                }
                What::IdBack { by } => message = text::id_back(&message, *by),
                What::IdAhead { by } => message = text::id_ahead(&message, *by),
                What::TimeJump { ms } => message = text::time_jump(&message, *ms),
                What::ErrorAck {} => refusal.clone_into(&mut message),
                What::Binary {} => frame = Some(|message| Frame::Binary(message.into_bytes())),
                What::InvalidUtf8 {} => frame = Some(broken),
                What::Refuse { .. } => {}
            }
        }
        let frame = frame.unwrap_or(Frame::Text)(message);
        match until {
            Some(until) if copies > 0 => self.hold(Held { frame, until }),
            _ => self.ready.extend(std::iter::repeat_n(frame, copies)),
        }
        if copies > 0 {
            self.count_down();
        }
        self.ready.extend(end);
    }

    /// The time asked for by `poll_timeout` has come.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        self.release(|until| matches!(until, Until::Time(at_ms) if *at_ms <= now_ms));
    }

    /// When the next held message is due, on the server's clock.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        let times = self.held.iter().filter_map(|held| match held.until {
            Until::Time(at_ms) => Some(at_ms),
            Until::Messages(_) => None,
        });
        times.min()
    }

    /// The next thing to send.
    pub fn poll_frame(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    fn hold(&mut self, held: Held) {
        if self.held.len() >= HELD_MAX
            && let Some(oldest) = self.held.pop_front()
        {
            self.ready.push_back(oldest.frame);
        }
        self.held.push_back(held);
    }

    /// A message went out (or was itself held, which counts for those before it).
    fn count_down(&mut self) {
        self.release(|until| match until {
            // Held with `window`, it is counted down by itself once: `window` others follow before it goes.
            Until::Messages(0) => true,
            Until::Messages(left) => {
                *left -= 1;
                false
            }
            Until::Time(_) => false,
        });
    }

    fn release(&mut self, mut due: impl FnMut(&mut Until) -> bool) {
        let mut kept = VecDeque::with_capacity(self.held.len());
        for mut held in self.held.drain(..) {
            if due(&mut held.until) {
                self.ready.push_back(held.frame);
            } else {
                kept.push_back(held);
            }
        }
        self.held = kept;
    }
}

fn broken(message: String) -> Frame {
    let mut bytes = message.into_bytes();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        // Never part of UTF-8.
        *byte = 0xff;
    }
    Frame::BrokenText(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(tamper: &mut Tamper) -> Vec<String> {
        std::iter::from_fn(|| tamper.poll_frame())
            .map(|frame| match frame {
                Frame::Text(text) => text,
                other => format!("{other:?}"),
            })
            .collect()
    }

    /// Sends a, b, c, d with the first struck.
    fn check(what: &What, expect: &[&str]) {
        let mut tamper = Tamper::default();
        for (n, message) in ["{\"a\"}", "b", "c", "d"].into_iter().enumerate() {
            let strikes = if n == 0 {
                std::slice::from_ref(what)
            } else {
                &[]
            };
            tamper.handle_message(n as u64, message.to_owned(), strikes, "no");
        }
        assert_eq!(out(&mut tamper), expect, "{what:?}");
    }

    #[test]
    fn order_and_framing() {
        check(&What::Drop {}, &["b", "c", "d"]);
        check(&What::Duplicate {}, &["{\"a\"}", "{\"a\"}", "b", "c", "d"]);
        check(&What::Reorder { window: 2 }, &["b", "c", "{\"a\"}", "d"]);
        check(&What::Delay { ms: 100 }, &["b", "c", "d"]);
        check(&What::ErrorAck {}, &["no", "b", "c", "d"]);
        check(&What::CorruptJson {}, &["{\"", "b", "c", "d"]);
        check(
            &What::Disconnect { code: None },
            &["{\"a\"}", "Cut", "b", "c", "d"],
        );
        check(
            &What::Disconnect { code: Some(1_001) },
            &["{\"a\"}", "Close(1001)", "b", "c", "d"],
        );
        check(
            &What::Binary {},
            &["Binary([123, 34, 97, 34, 125])", "b", "c", "d"],
        );
        check(
            &What::InvalidUtf8 {},
            &["BrokenText([123, 34, 255, 34, 125])", "b", "c", "d"],
        );
    }

    #[test]
    fn what_is_late_comes_when_it_is_due() {
        let mut tamper = Tamper::default();
        tamper.handle_message(10, "a".to_owned(), &[What::Delay { ms: 100 }], "");
        tamper.handle_message(20, "b".to_owned(), &[], "");
        assert_eq!(
            (out(&mut tamper), tamper.poll_timeout()),
            (vec!["b".to_owned()], Some(110))
        );
        tamper.handle_timeout(109);
        assert!(out(&mut tamper).is_empty());
        tamper.handle_timeout(110);
        assert_eq!(
            (out(&mut tamper), tamper.poll_timeout()),
            (vec!["a".to_owned()], None)
        );
    }

    #[test]
    fn the_held_are_bounded() {
        let mut tamper = Tamper::default();
        for n in 0..=HELD_MAX {
            tamper.handle_message(0, n.to_string(), &[What::Delay { ms: 1 }], "");
        }
        assert_eq!(out(&mut tamper), ["0"]);
    }
}
