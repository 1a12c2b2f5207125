// Pure: who may do what on the bus, made from the grammar of subjects. The servers uphold it, if the users of a feed
// are given these permissions.
#![deny(clippy::disallowed_methods)]

use std::fmt::Write as _;

use serde_json::{Value, json};
use wire::Scope;
use wire::subject::{Role, Rule, Transport, grammar};

use super::names::{Names, Party};

/// What one party may publish and subscribe to. What is not listed is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects that it may publish to, in NATS syntax.
    pub publish: Vec<String>,
    /// Subjects that it may subscribe to.
    pub subscribe: Vec<String>,
}

/// The permissions of a party of one feed.
#[must_use]
pub fn permissions(scope: &Scope, party: Party) -> Permissions {
    let names = Names::new(scope);
    let mut publish = Vec::new();
    let mut subscribe = vec![format!("{}.>", names.inbox(party))];
    if let Some(role) = party.role() {
        for rule in grammar() {
            if rule.publishers.contains(&role) {
                publish.push(rule.filter(scope));
            }
            if rule.readers.contains(&role) && is_listened_to(rule) {
                let listened = match party {
                    // A person asks for `kline.<env>.<region>.>` rather than for each kind.
                    Party::Watcher => below(rule, scope),
                    _ => rule.filter(scope),
                };
                if !subscribe.contains(&listened) {
                    subscribe.push(listened);
                }
            }
        }
        reads(&mut publish, &names, scope, role);
    }
    let api = |call: &str, stream: &str| format!("$JS.API.STREAM.{call}.{stream}");
    match party {
        Party::Publisher => {
            publish.push(names.lease_subjects());
            publish.push(api("MSG.GET", &names.leases));
            for stream in names.streams() {
                publish.push(api("INFO", stream));
                publish.push(api("CREATE", stream));
            }
        }
        Party::Gateway | Party::History => {
            publish.extend(names.streams().map(|stream| api("INFO", stream)));
        }
        Party::Purge => {
            for stream in names.streams() {
                publish.push(api("INFO", stream));
                publish.push(api("DELETE", stream));
            }
        }
        Party::Watcher => {}
    }
    Permissions { publish, subscribe }
}

/// Whether it is heard by subscribing to it; what is in the log is asked for.
fn is_listened_to(rule: &Rule) -> bool {
    match rule.transport {
        Transport::Live | Transport::Repeated => true,
        Transport::Log => false,
    }
}

/// All of the feed's subjects that begin with the rule's first word.
fn below(rule: &Rule, scope: &Scope) -> String {
    let filter = rule.filter(scope);
    let word = filter.split('.').next().unwrap_or_default();
    format!("{word}.{}.{}.>", scope.env, scope.region)
}

/// What reading a stream takes: consumers of the kinds that the role reads, and no others.
fn reads(publish: &mut Vec<String>, names: &Names, scope: &Scope, role: Role) {
    // Who looks on has no business with the streams.
    if role == Role::Watcher {
        return;
    }
    for (transport, stream) in [
        (Transport::Live, &names.open),
        (Transport::Log, &names.closes),
    ] {
        let rules = grammar()
            .iter()
            .filter(|rule| rule.transport == transport && rule.readers.contains(&role));
        let consumed: Vec<&Rule> = rules.collect();
        if consumed.is_empty() {
            continue;
        }
        for rule in consumed {
            // A `*` lets any token through in its place, and so every filter that is narrower.
            let filter = rule.filter(scope);
            publish.push(format!("$JS.API.CONSUMER.CREATE.{stream}.*.{filter}"));
        }
        publish.push(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.*"));
        publish.push(format!("$JS.API.CONSUMER.DELETE.{stream}.*"));
        if transport == Transport::Log {
            publish.push(format!("$JS.API.STREAM.MSG.GET.{stream}"));
            publish.push(format!("$JS.API.DIRECT.GET.{stream}"));
        }
    }
}

impl Permissions {
    /// As a user's `permissions` in a server's configuration, or of a user's JWT.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let list = |subjects: &[String]| match subjects {
            // A list without a subject would allow everything.
            [] => json!({ "deny": [">"] }),
            subjects => json!({ "allow": subjects }),
        };
        json!({ "publish": list(&self.publish), "subscribe": list(&self.subscribe) })
    }

    /// As a block of a server's configuration file.
    #[must_use]
    pub fn to_config(&self) -> String {
        let list = |subjects: &[String]| {
            if subjects.is_empty() {
                return "{ deny: \">\" }".to_owned();
            }
            let lines: Vec<String> = subjects.iter().map(|s| format!("    \"{s}\"")).collect();
            format!("{{ allow: [\n{}\n  ] }}", lines.join("\n"))
        };
        format!(
            "permissions {{\n  publish {}\n  subscribe {}\n}}\n",
            list(&self.publish),
            list(&self.subscribe)
        )
    }
}

/// The document `docs/subjects.md`.
///
/// # Panics
/// Never: the feed in it has a valid name.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(HEAD);
    for rule in grammar() {
        let transport = match rule.transport {
            Transport::Live => "core NATS, at most once; the last of each is kept",
            Transport::Log => "JetStream, in atomic batches",
            Transport::Repeated => "repeated by the server, at most once",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {transport} | {} | {} |",
            rule.pattern(),
            rule.meaning,
            roles(rule.publishers),
            roles(rule.readers),
        );
    }
    text.push_str(STREAMS);
    #[expect(clippy::expect_used, reason = "both words are valid, as a test sees")]
    let scope = Scope::new("default-crypto", "eu").expect("valid words");
    for party in Party::ALL {
        let permissions = permissions(&scope, party).to_config();
        let _ = write!(text, "\n### {}\n```\n{permissions}```\n", party.as_str());
    }
    text
}

fn roles(roles: &[Role]) -> String {
    let words: Vec<&str> = roles.iter().map(|role| word(*role)).collect();
    words.join(", ")
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Publisher => "publisher",
        Role::Gateway => "gateway",
        Role::History => "history",
        Role::Watcher => "watcher",
        Role::Server => "the NATS server",
    }
}

const HEAD: &str = "\
# Subjects, streams and permissions
<!-- Written by `runtime/src/broker/nats/governance.rs`; its test tells how to write it anew. -->
What a feed has on NATS. `<env>` names the feed, `<region>` where it runs; neither holds a dot, nor does any other token.
One grammar (`wire::subject`) gives the subjects, the streams' configuration and the permissions.

## Subjects
| subject | meaning | transport | published by | read by |
|---|---|---|---|---|
";

const STREAMS: &str = "
To look on: `nats sub \"kline.<env>.<region>.>\"`.

## Streams
| stream | holds | kept |
|---|---|---|
| `MF_<env>_<region>_CLOSES` | committed closes and amendments, and checkpoints | on disk, `--nats-replicas` times; the newest `--nats-closes-per-topic` of each topic, the last checkpoint of each instrument |
| `MF_<env>_<region>_OPEN` | the last open bar of each subject | in memory, once |
| `KV_MF_<env>_<region>_LEASES` | who should publish a shard: the bucket `MF_<env>_<region>_LEASES`, a key a shard | on disk, `--nats-replicas` times; the last value of each key |

A publisher makes them; nobody changes them. Their metadata `marketfeed.dev/owner` says whose they are (`--nats-owner`,
else the feed's name). A stream of another owner is left as it is and the process ends, whenever that shows; one with other
settings as well when the process starts. Those that are changed later end nobody who is at work.

## Permissions
Each party has its own user, and its own inbox. These are the ones of the feed `default-crypto` in `eu`; what is not
listed is not allowed. A gateway can read checkpoints, which are in the log, and publish nothing but requests.
";

#[cfg(test)]
mod tests {
    use super::*;

    /// Set to write the document instead of comparing it.
    const WRITE: &str = "MARKETFEED_WRITE_DOCS";

    #[test]
    fn the_document_is_of_this_grammar() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/subjects.md");
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(path, document()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == document(),
            "docs/subjects.md is of another grammar: run this test with {WRITE}=1 to write it"
        );
    }

    #[test]
    fn nobody_reaches_another_feed() {
        let (ours, other) = (
            Scope::new("a", "eu").unwrap(),
            Scope::new("b", "eu").unwrap(),
        );
        for party in Party::ALL {
            let Permissions { publish, subscribe } = permissions(&ours, party);
            for subject in publish.iter().chain(&subscribe) {
                let is_ours = subject.contains(".a.eu.") || subject.contains("MF_a_eu_");
                assert!(is_ours, "{party:?}: {subject}");
            }
            let theirs = permissions(&other, party);
            let theirs: Vec<_> = theirs.publish.iter().chain(&theirs.subscribe).collect();
            let mut all = publish.iter().chain(&subscribe);
            assert!(all.all(|subject| !theirs.contains(&subject)));
        }
    }

    #[test]
    fn only_a_publisher_publishes_bars_and_only_a_purge_deletes() {
        let scope = Scope::new("a", "eu").unwrap();
        for party in Party::ALL {
            let Permissions { publish, .. } = permissions(&scope, party);
            let has = |start: &str| publish.iter().any(|subject| subject.starts_with(start));
            let publishes = ["kline.", "bar.", "ckpt.", "$KV."].map(has);
            assert_eq!(publishes, [party == Party::Publisher; 4], "{party:?}");
            assert_eq!(has("$JS.API.STREAM.DELETE."), party == Party::Purge);
            assert_eq!(has("$JS.API.STREAM.CREATE."), party == Party::Publisher);
            assert!(!has("$JS.API.STREAM.UPDATE.") && !has("$JS.API.STREAM.PURGE."));
            // Who reads bars makes consumers of bars, not of checkpoints.
            let consumers = publish
                .iter()
                .filter(|subject| subject.contains(".CONSUMER.CREATE."));
            let of_checkpoints = consumers.filter(|subject| subject.contains(".ckpt."));
            let may = party == Party::Publisher;
            assert_eq!(of_checkpoints.count() > 0, may, "{party:?}");
        }
    }
}
