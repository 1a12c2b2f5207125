// Pure: checked words that may stand in a topic or a subject.
use std::fmt;

/// Why a word cannot be part of an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} is not valid: {rule}")]
pub struct TokenError {
    /// What the word was to be: `venue`, `symbol`, `env`, `region`.
    pub what: &'static str,
    /// The refused text, cut to 64 characters.
    pub text: String,
    /// What is allowed instead.
    pub rule: &'static str,
}

/// Refused text is echoed to clients and logs, so that it is kept short.
const TEXT_SHOWN: usize = 64;

impl TokenError {
    pub(crate) fn new(what: &'static str, text: &str, rule: &'static str) -> Self {
        Self {
            what,
            text: shown(text),
            rule,
        }
    }
}

/// The first [`TEXT_SHOWN`] characters, for error messages about text from outside.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(TEXT_SHOWN).collect()
}

/// The beginning and the end of an error's text that repeats what was given: it says what is wrong first, and where
/// last.
pub(crate) fn shown_ends(error: &str) -> String {
    let count = error.chars().count();
    if count <= 3 * TEXT_SHOWN {
        return error.to_owned();
    }
    let end: String = error.chars().skip(count - TEXT_SHOWN).collect();
    format!("{}…{end}", shown(error))
}

/// Checks that `text` is 1 to `len_max` of lower-case letters, digits and inner hyphens. Such a word can
/// hold none of `.`, `*`, `>`, `:` or a space, so it can never smuggle a second token into an address.
pub(crate) fn check_lower(
    what: &'static str,
    text: &str,
    len_max: usize,
) -> Result<(), TokenError> {
    let ok = !text.is_empty()
        && text.len() <= len_max
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if ok {
        Ok(())
    } else {
        Err(TokenError::new(
            what,
            text,
            "use lower-case letters, digits and inner hyphens",
        ))
    }
}

/// Declares a cheaply cloned word that is checked once, at its constructor.
macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks the text once; whatever holds the value need not check it again.
            ///
            /// # Errors
            /// When the text breaks the word's rule, which the error names.
            pub fn new(text: &str) -> Result<Self, $crate::TokenError> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::TokenError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use token;

/// Serialises through `Display` and reads through `FromStr`.
macro_rules! serde_by_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_by_text;

/// Writes the parts joined by `separator`.
pub(crate) fn join(
    f: &mut fmt::Formatter<'_>,
    separator: char,
    parts: &[&dyn fmt::Display],
) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            fmt::Write::write_char(f, separator)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}
