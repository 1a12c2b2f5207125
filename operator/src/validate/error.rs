// Pure: what is wrong, and of which field.
#![deny(clippy::disallowed_methods)]

use std::fmt;

use super::Span;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Of which field, such as `spec.sources[0].symbols[2]`.
    pub path: String,
    /// What is wrong and what is right.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, message } = self;
        write!(f, "{path}: {message}")
    }
}

/// Why a feed cannot run: at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(Vec<FieldError>);

impl Invalid {
    /// All that is wrong, in the order of the fields; at least one.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0
    }
}

/// All of it on one line, as a condition's message and a command's error have it.
impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// A host, and a port from 1 to 65535 if any; an address of version 6 stands in brackets.
pub(super) fn is_host_and_port(text: &str) -> bool {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (is_host, rest) = match bracketed {
        Some((host, rest)) => (host.parse::<std::net::Ipv6Addr>().is_ok(), rest),
        None => {
            let end = text.find(':').unwrap_or(text.len());
            (end > 0 && !text.contains(['@', '[', ']']), &text[end..])
        }
    };
    let port = rest.strip_prefix(':').map(str::parse::<u16>);
    is_host && (rest.is_empty() || matches!(port, Some(Ok(1..))))
}

/// Gathers what is wrong, so that all of it is told at once.
#[derive(Debug, Default)]
pub(super) struct Checks {
    errors: Vec<FieldError>,
}

impl Checks {
    pub(super) fn refuse(&mut self, path: &str, message: impl fmt::Display) {
        self.errors.push(FieldError {
            path: path.to_owned(),
            message: message.to_string(),
        });
    }

    /// What was made of a field, if it could be.
    pub(super) fn take<T, E: fmt::Display>(&mut self, path: &str, made: Result<T, E>) -> Option<T> {
        made.map_err(|error| self.refuse(path, error)).ok()
    }

    pub(super) fn range(&mut self, path: &str, number: i32, min: i32, max: i32) {
        if !(min..=max).contains(&number) {
            self.refuse(
                path,
                format!("{number} is out of range: write {min} to {max}"),
            );
        }
    }

    /// A duration from `min` to `max`, which are durations. What is none stands for the shortest, and is refused.
    pub(super) fn span(&mut self, path: &str, text: &str, min: &str, max: &str) -> Span {
        let read = |text: &str| runtime::args::duration(text);
        let duration = read(text);
        let bounds = (read(min).unwrap_or_default(), read(max).unwrap_or_default());
        match &duration {
            Ok(duration) if (bounds.0..=bounds.1).contains(duration) => {}
            Ok(_) => self.refuse(
                path,
                format!("{text:?} is out of range: write a duration from {min} to {max}"),
            ),
            Err(error) => self.refuse(path, error),
        }
        Span {
            text: text.to_owned(),
            duration: duration.unwrap_or_default(),
        }
    }

    /// An address of one of the schemes, of plain characters.
    pub(super) fn url(&mut self, path: &str, text: &str, schemes: [&str; 2]) {
        let rest = text
            .split_once("://")
            .filter(|(scheme, _)| schemes.contains(scheme));
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        let good = text.len() <= wire::assignment::ENDPOINT_LEN_MAX
            && text.bytes().all(plain)
            && rest.is_some_and(|(_, rest)| {
                let authority = rest.split(['/', '?', '#']).next();
                authority.is_some_and(is_host_and_port)
            });
        if !good {
            let [plain, encrypted] = schemes;
            self.refuse(
                path,
                format!("{text:?} is no address of it: write {encrypted}://host/path or {plain}://host:port/path"),
            );
        }
    }

    /// What was made, unless something is wrong. Parts that could not be made were refused.
    pub(super) fn end<A, B, T>(
        self,
        parts: (Option<A>, Option<B>),
        make: impl FnOnce((A, B)) -> T,
    ) -> Result<T, Invalid> {
        match parts {
            (Some(a), Some(b)) if self.errors.is_empty() => Ok(make((a, b))),
            _ => Err(Invalid(self.errors)),
        }
    }
}
