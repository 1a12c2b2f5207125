// Pure: pieces of schema that several fields share.
#![deny(clippy::disallowed_methods)]

use serde_json::{Value, json};

/// Entries of `sources`; more than there are venues, so that some may be added without a change of cost.
pub(super) const SOURCES_MAX: usize = 16;

/// A duration as the processes' flags read it.
pub(super) const DURATION_PATTERN: &str = "^[1-9][0-9]{0,5}(ms|s|m)$";

/// The longest that the pattern lets pass.
pub(super) const DURATION_LEN_MAX: usize = 8;

/// A name of a Secret, ConfigMap or namespace.
pub(super) const NAME_PATTERN: &str = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";

/// An address of the kind that the scheme's pattern says, of plain characters.
macro_rules! url_pattern {
    ($scheme:literal) => {
        concat!("^", $scheme, "://[!#-.0-\\[\\]-~][!#-\\[\\]-~]*$")
    };
}
pub(super) use url_pattern;

/// CEL rules with what to write instead, for what no plain keyword can say.
pub(super) fn rules(rules: &[(&str, &str)]) -> Value {
    let rule = |(rule, message): &(&str, &str)| json!({ "rule": rule, "message": message });
    Value::Array(rules.iter().map(rule).collect())
}

/// The rule of a duration between two others, both included.
pub(super) fn duration_from_to(min: &str, max: &str) -> Value {
    let rule =
        format!("duration(self) >= duration('{min}') && duration(self) <= duration('{max}')");
    rules(&[(&rule, &format!("write a duration from {min} to {max}"))])
}
