// Pure: whether a feed's namespace is being removed. Nothing can be made in it then, so that nothing can be purged from it, and
// what the operator may do in it may be taken away at any moment. Kubernetes has no word for it where the operator looks: it
// asks the API server, when there is a sign of it.
#![deny(clippy::disallowed_methods)]

/// How long it is not asked again while the sign of it stays, in seconds.
pub const ASKED_FOR_S: i64 = 60;

/// What is known of it. A namespace that is being removed never stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ending {
    is_certain: bool,
    /// When the API server said last that it is not, in Unix seconds, since there is a sign of it.
    denied_s: Option<i64>,
}

impl Ending {
    /// Whether the API server is to be asked, where there is a sign of it or none.
    pub fn poll_question(&mut self, is_sign: bool, now_s: i64) -> bool {
        if !is_sign {
            self.denied_s = None;
        }
        let is_due = |denied_s: i64| now_s.saturating_sub(denied_s) >= ASKED_FOR_S;
        is_sign && !self.is_certain && self.denied_s.is_none_or(is_due)
    }

    /// What the API server said.
    pub const fn handle_answer(&mut self, is_ending: bool, now_s: i64) {
        self.is_certain |= is_ending;
        self.denied_s = Some(now_s);
    }

    /// Whether it is.
    #[must_use]
    pub const fn is_certain(&self) -> bool {
        self.is_certain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_where_there_is_a_sign_of_it() {
        let mut ending = Ending::default();
        assert!(!ending.poll_question(false, 0));
        // Until there is an answer.
        assert!(ending.poll_question(true, 10) && ending.poll_question(true, 11));
        ending.handle_answer(false, 11);
        assert!(!ending.poll_question(true, 11 + ASKED_FOR_S - 1));
        assert!(ending.poll_question(true, 11 + ASKED_FOR_S));
        ending.handle_answer(false, 11 + ASKED_FOR_S);
        // Another sign is another question.
        assert!(!ending.poll_question(false, 80) && ending.poll_question(true, 81));
        assert!(!ending.is_certain());
        ending.handle_answer(true, 81);
        ending.handle_answer(false, 82);
        assert!(ending.is_certain() && !ending.poll_question(true, 1_000));
    }
}
