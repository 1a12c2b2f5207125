// Pure: what a server's monitoring port tells, read from its JSON.
#![deny(clippy::disallowed_methods)]

use serde_json::Value;

/// What of `/jsz?accounts=1&streams=1&config=1` matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// The stream's name.
    pub name: String,
    /// The server that leads it, by name; none while there is no leader. Alone, a server leads all.
    pub leader: Option<String>,
    /// The number of its newest message.
    pub last_sequence: u64,
    /// Messages in it.
    pub messages: u64,
    /// The other servers that hold it and are level.
    pub current_followers: usize,
}

/// The streams of every account, as one server sees them.
pub(super) fn streams(jsz: &Value) -> Vec<StreamState> {
    let accounts = jsz["account_details"].as_array().into_iter().flatten();
    let details =
        accounts.flat_map(|account| account["stream_detail"].as_array().into_iter().flatten());
    details.filter_map(stream).collect()
}

fn stream(detail: &Value) -> Option<StreamState> {
    let cluster = &detail["cluster"];
    let leader = cluster["leader"].as_str().filter(|name| !name.is_empty());
    let followers = cluster["replicas"].as_array().into_iter().flatten();
    let level = |peer: &&Value| {
        peer["current"].as_bool() == Some(true) && peer["offline"].as_bool() != Some(true)
    };
    Some(StreamState {
        name: detail["name"].as_str()?.to_owned(),
        leader: leader.map(str::to_owned),
        last_sequence: detail["state"]["last_seq"].as_u64().unwrap_or(0),
        messages: detail["state"]["messages"].as_u64().unwrap_or(0),
        current_followers: followers.filter(level).count(),
    })
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
                {"name": "bar", "state": {"messages": 7, "last_seq": 9},
                 "cluster": {"leader": "n3", "replicas": [
                    {"name": "n1", "current": true}, {"name": "n2", "current": true, "offline": true}]}},
                {"name": "lost", "state": {}, "cluster": {"leader": ""}}]}]});
        let expect = StreamState {
            name: "bar".into(),
            leader: Some("n3".into()),
            last_sequence: 9,
            messages: 7,
            current_followers: 1,
        };
        let read = streams(&jsz);
        assert_eq!(read[0], expect);
        assert_eq!((read.len(), &read[1].leader), (2, &None));
        assert_eq!(meta_leader(&jsz).as_deref(), Some("n2"));
        assert_eq!(meta_leader(&serde_json::json!({})), None);
        assert!(streams(&serde_json::json!({})).is_empty());
    }
}
