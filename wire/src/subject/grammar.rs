// Pure: the grammar of the bus as data. Subjects are written and read by it; the table in the documents, the
// permissions and the streams' configuration are made from it.
use std::fmt;

use super::Scope;
use Part::{Env, Interval, Region, Symbol, Venue, Word};

/// One token of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// This word.
    Word(&'static str),
    /// The feed's [`super::Env`].
    Env,
    /// The feed's [`super::Region`].
    Region,
    /// A venue.
    Venue,
    /// An interval.
    Interval,
    /// A symbol.
    Symbol,
}

/// How messages of a kind travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// At most once, to who listens just now; the newest of each subject is kept beside.
    Live,
    /// Appended to the log of closes in atomic batches, and read from it by sequence.
    Log,
    /// Repeated by the server from the log, at most once, for who only watches.
    Repeated,
}

/// A party on the bus, as far as credentials tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Makes bars: active and standby alike.
    Publisher,
    /// Passes bars on to clients.
    Gateway,
    /// Stores closes.
    History,
    /// Looks on: a person with a command-line client.
    Watcher,
    /// The message server itself.
    Server,
}

/// One kind of subject: a line of the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What travels there: `open`, `closed`, `committed`, `checkpoint`.
    pub kind: &'static str,
    /// Its tokens.
    pub parts: &'static [Part],
    /// How its messages travel.
    pub transport: Transport,
    /// Who publishes there. Nobody else may.
    pub publishers: &'static [Role],
    /// Who reads it. Nobody else need be allowed to.
    pub readers: &'static [Role],
    /// What a message there means.
    pub meaning: &'static str,
}

/// `kline.….open`
pub(super) const OPEN: Rule = Rule {
    kind: "open",
    parts: &[
        Word("kline"),
        Env,
        Region,
        Venue,
        Interval,
        Symbol,
        Word("open"),
    ],
    transport: Transport::Live,
    publishers: &[Role::Publisher],
    readers: &[Role::Gateway, Role::Watcher],
    meaning: "the bar as it stands; a newer one replaces it",
};

/// `kline.….closed`
pub(super) const CLOSED: Rule = Rule {
    kind: "closed",
    parts: &[
        Word("kline"),
        Env,
        Region,
        Venue,
        Interval,
        Symbol,
        Word("closed"),
    ],
    transport: Transport::Repeated,
    publishers: &[Role::Server],
    readers: &[Role::Watcher],
    meaning: "a copy of a committed close or amendment",
};

/// `bar.…`
pub(super) const COMMITTED: Rule = Rule {
    kind: "committed",
    parts: &[Word("bar"), Env, Region, Venue, Interval, Symbol],
    transport: Transport::Log,
    publishers: &[Role::Publisher],
    readers: &[Role::Publisher, Role::Gateway, Role::History],
    meaning: "a close or an amendment, numbered by topic without a break",
};

/// `ckpt.…`
pub(super) const CHECKPOINT: Rule = Rule {
    kind: "checkpoint",
    parts: &[Word("ckpt"), Env, Region, Venue, Symbol],
    transport: Transport::Log,
    publishers: &[Role::Publisher],
    readers: &[Role::Publisher],
    meaning: "how far the instrument is committed and by whom; the condition of the next commit",
};

/// Every kind of subject that a feed has on the bus.
#[must_use]
pub const fn grammar() -> &'static [Rule] {
    &[OPEN, CLOSED, COMMITTED, CHECKPOINT]
}

impl Rule {
    /// The subject with its variable tokens in angle brackets: `ckpt.<env>.<region>.<venue>.<symbol>`.
    #[must_use]
    pub fn pattern(&self) -> String {
        let names = Tokens {
            env: "<env>",
            region: "<region>",
            venue: "<venue>",
            interval: "<interval>",
            symbol: "<symbol>",
        };
        Written(self, &names).to_string()
    }

    /// All subjects of the kind in the scope, in NATS syntax: `ckpt.default-crypto.eu.*.*`.
    #[must_use]
    pub fn filter(&self, scope: &Scope) -> String {
        const ANY: &str = "*";
        let Scope { env, region } = scope;
        let tokens: Tokens<&dyn fmt::Display> = Tokens {
            env,
            region,
            venue: &ANY,
            interval: &ANY,
            symbol: &ANY,
        };
        Written(self, &tokens).to_string()
    }

    /// Takes a subject of this kind apart; its tokens are unchecked. `None` when it is of another kind.
    pub(super) fn read<'t>(&self, subject: &'t str) -> Option<Tokens<&'t str>> {
        let mut tokens = Tokens::default();
        let mut texts = subject.split('.');
        for part in self.parts {
            let text = texts.next()?;
            let place = match part {
                Word(word) if *word == text => continue,
                Word(_) => return None,
                Env => &mut tokens.env,
                Region => &mut tokens.region,
                Venue => &mut tokens.venue,
                Interval => &mut tokens.interval,
                Symbol => &mut tokens.symbol,
            };
            *place = text;
        }
        texts.next().is_none().then_some(tokens)
    }
}

/// The variable tokens of a subject. A kind without one of them leaves it unused.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tokens<T> {
    pub(super) env: T,
    pub(super) region: T,
    pub(super) venue: T,
    pub(super) interval: T,
    pub(super) symbol: T,
}

/// A subject of the rule with these tokens.
pub(super) struct Written<'a, T>(pub(super) &'a Rule, pub(super) &'a Tokens<T>);

impl<T: fmt::Display> fmt::Display for Written<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(rule, tokens) = self;
        for (at, part) in rule.parts.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            match part {
                Word(word) => f.write_str(word)?,
                Env => tokens.env.fmt(f)?,
                Region => tokens.region.fmt(f)?,
                Venue => tokens.venue.fmt(f)?,
                Interval => tokens.interval.fmt(f)?,
                Symbol => tokens.symbol.fmt(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_this() {
        let patterns: Vec<String> = grammar()
            .iter()
            .map(|rule| format!("{} {}", rule.kind, rule.pattern()))
            .collect();
        let expect = [
            "open kline.<env>.<region>.<venue>.<interval>.<symbol>.open",
            "closed kline.<env>.<region>.<venue>.<interval>.<symbol>.closed",
            "committed bar.<env>.<region>.<venue>.<interval>.<symbol>",
            "checkpoint ckpt.<env>.<region>.<venue>.<symbol>",
        ];
        assert_eq!(patterns, expect);
    }

    #[test]
    fn every_rule_says_whose_it_is() {
        for rule in grammar() {
            // Permissions are cut by these two: a kind without them would be open to other feeds.
            assert_eq!(rule.parts[1..3], [Env, Region], "{}", rule.kind);
            assert!(matches!(rule.parts[0], Word(_)), "{}", rule.kind);
            assert!(!rule.publishers.is_empty() && !rule.readers.is_empty());
            // Only who makes bars, and the server that repeats them, ever publishes.
            assert!(rule.publishers.iter().all(|role| match rule.transport {
                Transport::Live | Transport::Log => *role == Role::Publisher,
                Transport::Repeated => *role == Role::Server,
            }));
        }
    }

    #[test]
    fn a_subject_is_of_one_kind_at_most() {
        for rule in grammar() {
            let subject = rule.filter(&Scope::new("a", "eu").unwrap());
            let kinds = grammar()
                .iter()
                .filter(|rule| rule.read(&subject).is_some());
            assert_eq!(kinds.count(), 1, "{subject}");
        }
    }
}
