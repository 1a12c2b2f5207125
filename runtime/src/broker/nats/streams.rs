//! The feed's streams: made by who publishes, checked by everyone, changed by nobody.

use std::time::SystemTime;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use wire::Scope;
use wire::subject::{Part, Rule, Transport, grammar};

use super::api::{StreamInfo, code};
use super::error::{NatsError, Trouble};
use super::names::{Names, Party};
use super::options::NatsOptions;
use super::session::{ApiFailure, RequestError, Session};
use super::shared::Shared;

/// Where a stream's metadata says whose it is.
const OWNER: &str = "marketfeed.dev/owner";

/// The stream's configuration, as far as it matters to us.
pub(super) type Config = Map<String, Value>;

/// Sees to it that the feed's streams are there and as they should be.
pub(super) async fn prepare(session: &Session, shared: &Shared) -> Result<(), Trouble> {
    let Shared {
        scope,
        names,
        options,
        ..
    } = shared;
    let last_values = open(names, scope, options);
    let wanted = [
        closes(names, scope, options),
        leases(names, scope, options),
        last_values.clone(),
    ];
    // It is on one server, which may be away, and only shortens a reader's first seconds.
    let spared = |one: &Config, why: String| {
        if *one == last_values {
            tracing::warn!(error = why, "the last open bars are not kept for now");
            return Ok(());
        }
        Err(Trouble::Transient(why))
    };
    // All are looked at before any is made: where one of them is another's, nothing is changed.
    let mut absent = Vec::new();
    for one in &wanted {
        match is_there(session, options, scope, one).await {
            Ok(true) => {}
            Ok(false) => absent.push(one),
            Err(Trouble::Transient(why)) => spared(one, why)?,
            Err(trouble) => return Err(trouble),
        }
    }
    for one in absent {
        match make(session, options, scope, one).await {
            Ok(()) => {}
            Err(Trouble::Transient(why)) => spared(one, why)?,
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(())
}

/// Checks whose the log is as [`prepare`] does, and nothing else of it.
pub(super) async fn check_whose(session: &Session, shared: &Shared) -> Result<(), Trouble> {
    let (name, options) = (&shared.names.closes, &shared.options);
    match info(session, options, name).await? {
        Some(stands) => {
            let ours = owner(&shared.scope, options);
            Ok(check_owner(name, &stands.config, &ours)?)
        }
        None => Err(Trouble::Transient(format!("stream {name} is gone"))),
    }
}

/// The log. Every commit is one batch of closes and checkpoints, and so they are in one stream.
pub(super) fn closes(names: &Names, scope: &Scope, options: &NatsOptions) -> Config {
    let (source, copy) = repeated();
    let config = json!({
        "name": names.closes,
        "description": "committed closes and amendments, and the checkpoints that guard them",
        "subjects": filters(scope, Transport::Log),
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "num_replicas": options.replicas,
        "max_msgs_per_subject": options.closes_per_topic,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "allow_atomic": true,
        "allow_rollup_hdrs": true,
        "allow_direct": true,
        "deny_delete": true,
        "republish": {
            "src": source.filter(scope),
            "dest": republish_to(scope, source, copy),
        },
        "metadata": metadata(scope, options),
    });
    object(config)
}

/// The last open bar of each subject. On one server and in memory: it is written 20,000 times a second, and what it
/// loses is sent again within ten.
pub(super) fn open(names: &Names, scope: &Scope, options: &NatsOptions) -> Config {
    let config = json!({
        "name": names.open,
        "description": "the last open bar of each subject",
        "subjects": filters(scope, Transport::Live),
        "storage": "memory",
        "retention": "limits",
        "discard": "old",
        "num_replicas": 1,
        "max_msgs_per_subject": 1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "no_ack": true,
        "metadata": metadata(scope, options),
    });
    object(config)
}

/// A key-value bucket, as its own specification (ADR-8) has it, of one value a key.
pub(super) fn leases(names: &Names, scope: &Scope, options: &NatsOptions) -> Config {
    let config = json!({
        "name": names.leases,
        "description": "who should publish a shard",
        "subjects": [names.lease_subjects()],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "num_replicas": options.replicas,
        "max_msgs_per_subject": 1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "allow_rollup_hdrs": true,
        "deny_delete": true,
        "metadata": metadata(scope, options),
    });
    object(config)
}

fn object(config: Value) -> Config {
    match config {
        Value::Object(config) => config,
        // `json!` with braces gives an object.
        _ => Config::new(),
    }
}

fn metadata(scope: &Scope, options: &NatsOptions) -> Value {
    json!({ OWNER: owner(scope, options) })
}

pub(super) fn owner(scope: &Scope, options: &NatsOptions) -> String {
    let owner = options.owner.clone();
    owner.unwrap_or_else(|| scope.env.to_string())
}

fn filters(scope: &Scope, transport: Transport) -> Vec<String> {
    let rules = grammar().iter().filter(|rule| rule.transport == transport);
    rules.map(|rule| rule.filter(scope)).collect()
}

/// What the server repeats and under which rule: the log's kind with the same variable tokens as the repeated one.
fn repeated() -> (&'static Rule, &'static Rule) {
    let variable = |rule: &Rule| -> Vec<Part> {
        let is_word = |part: &&Part| matches!(part, Part::Word(_));
        rule.parts
            .iter()
            .filter(|part| !is_word(part))
            .copied()
            .collect()
    };
    for copy in grammar() {
        for source in grammar() {
            if copy.transport == Transport::Repeated
                && source.transport == Transport::Log
                && variable(copy) == variable(source)
            {
                return (source, copy);
            }
        }
    }
    // A test sees to it that the grammar has such a pair.
    (&grammar()[0], &grammar()[0])
}

/// The copy's subject as a template over the wildcards of the source's filter.
fn republish_to(scope: &Scope, source: &Rule, copy: &Rule) -> String {
    let wildcards = source.parts.iter().filter(|part| is_wildcard(part));
    let wildcards: Vec<&Part> = wildcards.collect();
    let token = |part: &Part| match part {
        Part::Word(word) => (*word).to_owned(),
        Part::Env => scope.env.to_string(),
        Part::Region => scope.region.to_string(),
        Part::Venue | Part::Interval | Part::Symbol => {
            let at = wildcards.iter().position(|wildcard| *wildcard == part);
            format!("{{{{wildcard({})}}}}", at.map_or(0, |at| at + 1))
        }
    };
    let tokens: Vec<String> = copy.parts.iter().map(token).collect();
    tokens.join(".")
}

fn is_wildcard(part: &Part) -> bool {
    matches!(part, Part::Venue | Part::Interval | Part::Symbol)
}

/// Whether the stream is there, as it should be. That a reader's is not there is a trouble.
async fn is_there(
    session: &Session,
    options: &NatsOptions,
    scope: &Scope,
    wanted: &Config,
) -> Result<bool, Trouble> {
    let name = name_of(wanted);
    match info(session, options, name).await? {
        Some(stands) => {
            check(options, scope, wanted, &stands.config)?;
            Ok(true)
        }
        None if options.party == Party::Publisher => Ok(false),
        None => {
            let why = format!("stream {name} does not exist yet: a publisher makes it");
            Err(Trouble::Transient(why))
        }
    }
}

/// Makes a stream that was not there, unless somebody else is quicker.
async fn make(
    session: &Session,
    options: &NatsOptions,
    scope: &Scope,
    wanted: &Config,
) -> Result<(), Trouble> {
    let name = name_of(wanted);
    if create(session, options, name, wanted).await? {
        tracing::info!(stream = name, "made");
        return Ok(());
    }
    if is_there(session, options, scope, wanted).await? {
        return Ok(());
    }
    let why = format!("stream {name} comes and goes");
    Err(Trouble::Transient(why))
}

fn name_of(config: &Config) -> &str {
    config["name"].as_str().unwrap_or_default()
}

/// Checks a stream that is there.
fn check(
    options: &NatsOptions,
    scope: &Scope,
    wanted: &Config,
    stands: &Value,
) -> Result<(), NatsError> {
    let name = name_of(wanted);
    // A reader that was not told whose the streams are takes them as they are.
    let reads = options.party != Party::Publisher;
    if !(reads && options.owner.is_none()) {
        check_owner(name, stands, &owner(scope, options))?;
    }
    let differs = differences(wanted, stands);
    if !reads && !differs.is_empty() {
        let stream = name.to_owned();
        return Err(NatsError::OtherSettings { stream, differs });
    }
    Ok(())
}

/// Says whose the stream is, if it is not ours.
pub(super) fn check_owner(name: &str, config: &Value, ours: &str) -> Result<(), NatsError> {
    let owner = config["metadata"][OWNER].as_str().unwrap_or_default();
    if owner == ours {
        return Ok(());
    }
    Err(NatsError::OwnedByOther {
        stream: name.to_owned(),
        owner: owner.to_owned(),
        ours: ours.to_owned(),
    })
}

/// What is not as it is wanted. Settings that are not wanted in a certain way may be as they like.
fn differences(wanted: &Config, stands: &Value) -> Vec<String> {
    // A server leaves out what is off or nothing.
    let nothing = |value: &Value| matches!(value, Value::Bool(false) | Value::Null) || *value == 0;
    let differs = |(key, wanted): (&String, &Value)| {
        let stands = &stands[key];
        let same = stands == wanted || (nothing(stands) && nothing(wanted));
        (!same).then(|| format!("{key} is {stands}, not {wanted}"))
    };
    let settings = wanted
        .iter()
        .filter(|(key, _)| !["metadata", "description"].contains(&key.as_str()));
    settings.filter_map(differs).collect()
}

/// The stream; `None` where there is none.
pub(super) async fn info(
    session: &Session,
    options: &NatsOptions,
    name: &str,
) -> Result<Option<StreamInfo>, Trouble> {
    let subject = format!("$JS.API.STREAM.INFO.{name}");
    match session.read(&subject, Bytes::new(), options).await {
        Ok(info) => Ok(Some(info)),
        Err(failure) if failure.err_code() == Some(code::STREAM_NOT_FOUND) => Ok(None),
        Err(failure) => Err(trouble_of(name, failure, options)),
    }
}

/// Makes the stream; false if there is one of another configuration meanwhile.
async fn create(
    session: &Session,
    options: &NatsOptions,
    name: &str,
    wanted: &Config,
) -> Result<bool, Trouble> {
    let subject = format!("$JS.API.STREAM.CREATE.{name}");
    let mut wanted = wanted.clone();
    wanted.insert("first_seq".to_owned(), first_sequence().into());
    let body = Bytes::from(Value::Object(wanted).to_string());
    // Making the same stream twice is no error to the server, so that it may be repeated like a read.
    let made = session.read::<StreamInfo>(&subject, body, options).await;
    match made {
        Ok(_) => Ok(true),
        Err(failure) if failure.err_code() == Some(code::STREAM_NAME_IN_USE) => Ok(false),
        Err(failure) => Err(trouble_of(name, failure, options)),
    }
}

/// Where a stream's sequences begin: at the microsecond of its making. A stream that takes fewer than a million messages
/// a second never comes to where the next one of its name begins, so that a sequence is of one of them only. Below 2^53,
/// so that tools which read numbers as floats have it exactly.
fn first_sequence() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // A clock before 1970 gives what a server would.
    let micros = since.map_or(1, |since| since.as_micros());
    u64::try_from(micros).unwrap_or(1).max(1)
}

fn trouble_of(stream: &str, failure: ApiFailure, options: &NatsOptions) -> Trouble {
    let why = format!("stream {stream}: {failure}");
    match failure {
        ApiFailure::Request(RequestError::Denied(text)) => NatsError::Denied(text).into(),
        ApiFailure::Api(error) if error.err_code == code::NOT_CLUSTERED => {
            let replicas = options.replicas;
            NatsError::NotClustered { replicas }.into()
        }
        ApiFailure::Api(error) if code::NOT_ENABLED.contains(&error.err_code) => {
            NatsError::NoJetStream(error.to_string()).into()
        }
        // JetStream itself answers there, whatever there is of streams. It may be about to start.
        ApiFailure::Request(RequestError::NoResponders) => {
            let why = format!(
                "{why}: JetStream is not enabled on this NATS server (nats-server -js), or still starts"
            );
            Trouble::Transient(why)
        }
        ApiFailure::Request(_) | ApiFailure::Api(_) | ApiFailure::Malformed(_) => {
            Trouble::Transient(why)
        }
    }
}

/// Deletes the stream; that it is gone already is fine.
pub(super) async fn delete(
    session: &Session,
    options: &NatsOptions,
    name: &str,
) -> Result<(), Trouble> {
    let subject = format!("$JS.API.STREAM.DELETE.{name}");
    match session.read::<Value>(&subject, Bytes::new(), options).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.err_code() == Some(code::STREAM_NOT_FOUND) => Ok(()),
        Err(failure) => Err(trouble_of(name, failure, options)),
    }
}

/// The log as it stands.
pub(super) async fn log_info(session: &Session, shared: &Shared) -> Result<StreamInfo, String> {
    let name = &shared.names.closes;
    match info(session, &shared.options, name).await {
        Ok(Some(info)) => Ok(info),
        Ok(None) => Err(format!("stream {name} is gone")),
        Err(Trouble::Terminal(error)) => Err(error.to_string()),
        Err(Trouble::Transient(why)) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_repeats_its_closes_for_watchers() {
        let scope = Scope::new("a", "eu").unwrap();
        let (source, copy) = repeated();
        assert_eq!((source.kind, copy.kind), ("committed", "closed"));
        assert_eq!(source.filter(&scope), "bar.a.eu.*.*.*");
        assert_eq!(
            republish_to(&scope, source, copy),
            "kline.a.eu.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}.closed"
        );
        assert_eq!(
            filters(&scope, Transport::Log),
            ["bar.a.eu.*.*.*", "ckpt.a.eu.*.*"]
        );
        assert_eq!(filters(&scope, Transport::Live), ["kline.a.eu.*.*.*.open"]);
    }

    #[test]
    fn what_differs_is_named() {
        let wanted = object(json!({
            "name": "S", "num_replicas": 3, "allow_atomic": true, "max_age": 0, "no_ack": false,
            "metadata": {"a": "b"}, "description": "new words",
        }));
        // What a server adds of its own, and leaves out, is no difference.
        let same = json!({
            "name": "S", "num_replicas": 3, "allow_atomic": true, "placement": {}, "max_age": 0,
            "metadata": {"_nats.ver": "2.15.1"}, "description": "old words",
        });
        assert!(differences(&wanted, &same).is_empty());
        let other = json!({ "name": "S", "num_replicas": 1, "max_age": 5 });
        assert_eq!(
            differences(&wanted, &other),
            [
                "allow_atomic is null, not true",
                "max_age is 5, not 0",
                "num_replicas is 1, not 3"
            ]
        );
    }
}
