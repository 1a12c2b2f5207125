// Pure: pieces of schema that several fields share.
#![deny(clippy::disallowed_methods)]

use schemars::Schema;
use serde_json::{Value, json};

/// Entries of `sources`; more than there are venues, so that some may be added without a change of cost. Not many more: the cost
/// of the symbols' rule is counted for as many lists of 10,000.
pub(super) const SOURCES_MAX: usize = 8;

/// A duration as the processes' flags read it.
const DURATION_PATTERN: &str = "^[1-9][0-9]{0,5}(ms|s|m)$";

/// Longer than any that is right, so that of most that are wrong the rule speaks and not the bound, which only says that
/// it is too long.
pub(super) const DURATION_LEN_MAX: usize = 32;

/// The rule of a Secret's name.
pub(super) fn secret_name() -> Value {
    written(
        "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "that names no Secret: write lower-case letters, digits, hyphens and dots",
    )
}

/// The rule of a word that is part of streams' names on the bus.
pub(super) fn bus_token() -> Value {
    written(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "that cannot be part of a name on the bus: write lower-case letters, digits and inner hyphens, such as prod-eu",
    )
}

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

/// The rule of a text that has a form. Not the keyword `pattern`: of that the API server says no more than the pattern
/// itself, and people do not read those.
pub(super) fn written(pattern: &str, what_is_right: &str) -> Value {
    rules(&[(&format!("self.matches({})", quoted(pattern)), what_is_right)])
}

/// A text as a rule has it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Rules of each entry of a list.
pub(super) fn of_each(list: &mut Schema, rules: Value) {
    if let Some(items) = list.get_mut("items").and_then(Value::as_object_mut) {
        items.insert("x-kubernetes-validations".to_owned(), rules);
    }
}

/// The rule of a duration between two others, both included.
pub(super) fn duration_from_to(min: &str, max: &str) -> Value {
    let form = quoted(DURATION_PATTERN);
    let rule = format!(
        "self.matches({form}) && duration(self) >= duration('{min}') && duration(self) <= duration('{max}')"
    );
    let what_is_right =
        format!("write a duration from {min} to {max}: a whole number and ms, s or m, as in 250ms");
    rules(&[(&rule, &what_is_right)])
}
