// Pure: what a server's monitoring port tells, read from its JSON.
#![deny(clippy::disallowed_methods)]

use serde_json::Value;

/// What of `/jsz?accounts=1&streams=1&config=1` matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// The stream's name.
    pub name: String,
    /// What it listens to.
    pub subjects: Vec<String>,
    /// How many servers are to hold it.
    pub replicas: u64,
    /// The server that leads it, by name; none while there is no leader. Alone, a server leads all.
    pub leader: Option<String>,
    /// The number of its newest message.
    pub last_sequence: u64,
    /// Messages in it.
    pub messages: u64,
    /// The other servers that hold it and are level.
    pub current_followers: usize,
}

/// The streams of every account, as one server sees them in what it says to that GET.
#[must_use]
pub fn streams(jsz: &Value) -> Vec<StreamState> {
    let accounts = jsz["account_details"].as_array().into_iter().flatten();
    let details =
        accounts.flat_map(|account| account["stream_detail"].as_array().into_iter().flatten());
    details.filter_map(stream).collect()
}

fn stream(detail: &Value) -> Option<StreamState> {
    let cluster = &detail["cluster"];
    let leader = cluster["leader"].as_str().filter(|name| !name.is_empty());
    let followers = cluster["replicas"].as_array().into_iter().flatten();
    let subjects = detail["config"]["subjects"]
        .as_array()
        .into_iter()
        .flatten();
    let level = |peer: &&Value| {
        peer["current"].as_bool() == Some(true) && peer["offline"].as_bool() != Some(true)
    };
    Some(StreamState {
        name: detail["name"].as_str()?.to_owned(),
        subjects: subjects
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        replicas: detail["config"]["num_replicas"].as_u64().unwrap_or(1),
        leader: leader.map(str::to_owned),
        last_sequence: detail["state"]["last_seq"].as_u64().unwrap_or(0),
        messages: detail["state"]["messages"].as_u64().unwrap_or(0),
        current_followers: followers.filter(level).count(),
    })
}

impl StreamState {
    /// Whether it has a leader, and every other copy is there and level.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let copies = u64::try_from(self.current_followers).unwrap_or(0) + 1;
        self.replicas <= 1 || (self.leader.is_some() && copies >= self.replicas)
    }
}

/// The server that leads JetStream as a whole.
pub(super) fn meta_leader(jsz: &Value) -> Option<String> {
    let leader = jsz["meta_cluster"]["leader"].as_str()?;
    (!leader.is_empty()).then(|| leader.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_and_streams_are_read() {
        let jsz = serde_json::json!({
            "meta_cluster": {"name": "local", "leader": "n2", "cluster_size": 3},
            "account_details": [{"name": "$G", "stream_detail": [
                {"name": "bar", "config": {"subjects": ["bar.>"], "num_replicas": 3}, "state": {"messages": 7, "last_seq": 9},
                 "cluster": {"leader": "n3", "replicas": [
                    {"name": "n1", "current": true}, {"name": "n2", "current": true, "offline": true}]}},
                {"name": "lost", "state": {}, "cluster": {"leader": ""}}]}]});
        let expect = StreamState {
            name: "bar".into(),
            subjects: vec!["bar.>".into()],
            replicas: 3,
            leader: Some("n3".into()),
            last_sequence: 9,
            messages: 7,
            current_followers: 1,
        };
        let read = streams(&jsz);
        assert_eq!(read[0], expect);
        assert!(!read[0].is_whole() && read[1].is_whole());
        assert_eq!((read.len(), &read[1].leader), (2, &None));
        assert_eq!(meta_leader(&jsz).as_deref(), Some("n2"));
        assert_eq!(meta_leader(&serde_json::json!({})), None);
        assert!(streams(&serde_json::json!({})).is_empty());
    }
}
